"""One image and one command in both dwellings: `measure` runs and times, `report` and `page` show."""
