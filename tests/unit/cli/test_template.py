"""Go templates: what Go prints, and what it says of what it cannot print."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.cli.template import TemplateError, parse

VALUE = {
    "ID": "abc",
    "Name": "/web",
    "Pid": 7,
    "Ratio": 0.5,
    "Big": 1e21,
    "Whole": 3.0,
    "On": True,
    "Off": False,
    "None": None,
    "Empty": [],
    "Names": ["a", "b", "c"],
    "Labels": {"x.y": "1", "b": "2"},
    "State": {"Health": {"Status": "ok"}, "Code": 0},
    "Items": [{"K": "one"}, {"K": "two"}],
}


def render(text: str) -> str:
    return parse(text).render(VALUE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("{{.ID}}", "abc"),
        ("{{ .ID }}-{{.Pid}}", "abc-7"),
        ("{{.State.Health.Status}}", "ok"),
        ("{{.On}} {{.Off}} {{.None}} {{.Ratio}} {{.Big}} {{.Whole}}", "true false <no value> 0.5 1e+21 3"),
        ("{{.Names}}", "[a b c]"),
        ("{{.Labels}}", "map[b:2 x.y:1]"),
        ('{{index .Labels "x.y"}}', "1"),
        ('[{{index .Labels "no"}}]', "[]"),
        ("{{index .Names 1}}", "b"),
        ("{{(index .Items 1).K}}", "two"),
        ('{{index .Items 0 "K"}}', "one"),
        ("{{.Labels.nope}} {{.Labels.Nope}}", "<no value> <no value>"),
        ("{{json .Names}}", '["a","b","c"]'),
        ("{{json .ID}}|{{.Pid | json}}", '"abc"|7'),
        ("{{len .Names}} {{len .ID}} {{len .Labels}}", "3 3 2"),
        ("{{if .On}}yes{{else}}no{{end}}", "yes"),
        ("{{if .Empty}}yes{{else if .Off}}off{{else}}no{{end}}", "no"),
        ("{{if not .Off}}x{{end}}", "x"),
        ("{{if and .On .ID}}x{{end}}{{if or .Off .Empty}}y{{end}}", "x"),
        ('{{and .ID "z"}} {{or .Off "z"}}', "z z"),
        ('{{if eq .ID "abc"}}x{{end}}{{if ne .Pid 7}}y{{end}}', "x"),
        ('{{eq .ID "b" "abc"}} {{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge 2 2}}', "true true true false true"),
        ("{{range .Names}}<{{.}}>{{end}}", "<a><b><c>"),
        ("{{range $i, $n := .Names}}{{$i}}={{$n}} {{end}}", "0=a 1=b 2=c "),
        ("{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}", "b=2;x.y=1;"),
        ("{{range .Empty}}x{{else}}none{{end}}", "none"),
        ('{{range .Names}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}', "ac"),
        ('{{range .Names}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}', "a"),
        ("{{range .Items}}{{.K}}{{$.ID}} {{end}}", "oneabc twoabc "),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{with .State}}{{.Code}}{{end}}{{with .None}}x{{else}}y{{end}}", "0y"),
        ("{{with $x := .ID}}{{$x}}{{end}}", "abc"),
        ("{{$x := .ID}}{{$x}}{{$x = .Pid}}{{$x}}", "abc7"),
        ('{{join .Names ", "}}', "a, b, c"),
        ('{{range split "a,b" ","}}[{{.}}]{{end}}', "[a][b]"),
        ('{{upper .ID}}{{lower "QX"}}{{title "two words"}}', "ABCqxTwo Words"),
        ("{{pad .ID 1 2}}|", " abc  |"),
        ("{{truncate .ID 2}}", "ab"),
        ("{{slice .ID 1}}{{slice .Name 1 3}}", "bcwe"),
        ('{{printf "%s-%d-%05.1f-%q-%v%%" .ID .Pid 2.25 .ID .Names}}', 'abc-7-002.2-"abc"-[a b c]%'),
        ('{{printf "%-5s|%5s|%x" .ID .ID 255}}', "abc  |  abc|ff"),
        ('{{printf "%d" .ID}}', "%!d(str=abc)"),
        ('{{print 1 2 "a" "b" 3}}', "1 2ab3"),
        ("{{println .ID 1}}", "abc 1\n"),
        ('{{html "<a>"}} {{urlquery "a b"}}', "&lt;a&gt; a+b"),
        ("a {{- .ID -}} b", "aabcb"),
        ("a {{/* note }} */}}b", "a b"),
        ("{{- /* note */ -}} b", "b"),
        ('{{"quoted }} \\"x\\" \\u00e9"}}', 'quoted }} "x" é'),
        ("{{`raw }}`}}", "raw }}"),
        ("{{'a'}} {{0x10}} {{-1}} {{1.5}}", "97 16 -1 1.5"),
        ('{{true}} {{(len .Names) | printf "%d!"}}', "true 3!"),
        ('{{.ID | printf "%s %s" "x"}}', "x abc"),
        ('{{ .Names | len | printf "%02d" }}', "03"),
        ("{{$.ID}}", "abc"),
    ],
)
def test_a_template_prints_what_go_prints(text: str, expected: str) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{", "unclosed action"),
        ("{{.ID", "unclosed action"),
        ("{{}}", "missing value for command"),
        ("{{if .On}}x", "unexpected EOF"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{else}}", "unexpected {{else}}"),
        ("{{nope .ID}}", 'function "nope" not defined'),
        ("{{.Nope}}", 'map has no entry for key "Nope"'),
        ("{{.ID.Foo}}", "can't evaluate field Foo in type str"),
        ("{{.None.Foo}}", "nil data"),
        ("{{$x}}", 'undefined variable "$x"'),
        ("{{index .Names 5}}", "index out of range: 5"),
        ('{{index .Names "a"}}', "cannot index slice/array with type str"),
        ("{{index .Pid 5}}", "can't index item of type int"),
        ("{{len .Pid}}", "len of type int"),
        ("{{eq .ID 1}}", "incompatible types"),
        ("{{range .Pid.X}}{{end}}", "can't evaluate field X"),
        ("{{range .On}}{{end}}", "can't iterate over true"),
        ("{{(len .Names}}", "unclosed left paren"),
        ("{{1 2}}", "can't give argument to non-function"),
        ("{{.ID 2}}", "ID is not a method but has arguments"),
        ("{{upper 1}}", "error calling upper"),
        ("{{truncate .ID}}", "error calling truncate"),
        ('{{"abc}}', "unterminated quoted string"),
        ("{{`abc}}", "unterminated raw quoted string"),
        ("{{/* abc}}", "unclosed comment"),
        ("{{break}}", "outside {{range}}"),
        ('{{template "x"}}', "is not supported"),
        ("{{.ID | }}", "missing value"),
        ("{{#}}", "unexpected '#'"),
        ("{{12x}}", "bad number syntax"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{.Foo}}", 'template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"'),
        (
            "a {{ .State.Foo }}",
            'template: :1:11: executing "" at <.State.Foo>: map has no entry for key "Foo"',
        ),
        ("x\n{{.Nope}}", 'template: :2:2: executing "" at <.Nope>: map has no entry for key "Nope"'),
        (
            "{{upper (index .Names 9)}}",
            'template: :1:9: executing "" at <index .Names 9>: error calling index: index out of range: 9',
        ),
        ("{{$.Foo}}", 'template: :1:3: executing "" at <$.Foo>: map has no entry for key "Foo"'),
        ("{{", "template: :1: unclosed action"),
    ],
)
def test_the_place_of_a_mistake_is_said_as_go_says_it(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(text)
    assert str(caught.value) == message


@given(st.text(alphabet='{}.|$"`()ab 1-/*:=,\\', max_size=25))
def test_no_text_breaks_the_template_engine(text: str) -> None:
    try:
        render(text)
    except TemplateError:
        pass


@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_actions_is_itself(text: str) -> None:
    assert render(text) == text
