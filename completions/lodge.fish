function __lodge_complete
    set -l words (commandline -opc) (commandline -ct)
    lodge __complete -- $words[2..-1] 2>/dev/null
end
complete -c lodge -f -a '(__lodge_complete)'
complete -c lodge -n 'test -z "$(__lodge_complete)"' -F
