package enrich

import (
	"slices"
	"strings"
	"testing"
)

func TestLookupsMatchByKindOfSet(t *testing.T) {
	l, err := LoadLookups(map[string]string{
		"mail":   writeTable(t, "mail", "# disposable\nMailinator.example\n\ntrash.example # by hand\nbücher.example\n192.0.2.1\n"),
		"nets":   writeTable(t, "nets", "192.0.2.0/24\n2001:db8:1::/48\n203.0.113.9\n"),
		"asns":   writeTable(t, "asns", "AS64500 # a cloud\nas64501\n"),
		"packed": writeTable(t, "packed.gz", gzipped(t, "one\n")),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		set, value string
		want       bool
	}{
		{"mail", "mailinator.example", true},
		{"mail", "MAILINATOR.Example", true},
		{"mail", "trash.example", true},
		{"mail", "Bücher.example", true},
		{"mail", "BÜCHER.example", true},
		{"mail", "sub.trash.example", false},
		{"mail", "# disposable", false},
		{"mail", "", false},
		{"mail", "192.0.2.1", true},
		{"mail", strings.Repeat("X", 300), false},
		{"nets", "192.0.2.77", true},
		{"nets", "192.0.3.1", false},
		{"nets", "192.0.2.0/24", true},
		{"nets", "192.0.2.0/23", false},
		{"nets", "203.0.113.9", true},
		{"nets", "2001:db8:1:2::/64", true},
		{"nets", "2001:db8:1::/47", false},
		{"nets", "2001:db8:1:2::/999", false},
		{"nets", "2001:db8:1:2::/", false},
		{"nets", "192.0.2.0/18446744073709551640", false}, // 24, if it overflowed
		{"nets", "192.0.2.77/x", false},
		{"nets", "mailinator.example", false},
		{"nets", "", false},
		{"asns", "64500", true},
		{"asns", "64501", true},
		{"asns", "64502", false},
		{"packed", "one", true},
		{"none", "one", false},
	} {
		if got := l.Has(tt.set, tt.value); got != tt.want {
			t.Errorf("%s has %.40q: %v", tt.set, tt.value, got)
		}
		if f := l.Funcs()[tt.set]; f != nil && f(tt.value) != tt.want {
			t.Errorf("the function of %s says otherwise of %.40q", tt.set, tt.value)
		}
		if tt.set != "none" && !strings.ContainsAny(tt.value, "üÜ") && len(tt.value) < 256 {
			if n := testing.AllocsPerRun(10, func() { l.Has(tt.set, tt.value) }); n > 0 {
				t.Errorf("%s has %.40q: %v allocations", tt.set, tt.value, n)
			}
		}
	}
	if got := l.Names(); !slices.Equal(got, []string{"asns", "mail", "nets", "packed"}) || len(l.Funcs()) != 4 {
		t.Errorf("sets %v", got)
	}
	if (*Lookups)(nil).Has("mail", "x") || len((*Lookups)(nil).Funcs()) != 0 {
		t.Error("no sets hold something")
	}
}

func TestLookupsErrorsPoint(t *testing.T) {
	long := writeTable(t, "long", "x\n"+strings.Repeat("y", maxTableLine+1)+"\n")
	empty := writeTable(t, "empty", "# nothing\n")
	dir := t.TempDir()
	_, err := LoadLookups(map[string]string{"a": long, "b": empty, "c": dir, "d": dir + "/none"})
	want := "lookup a: " + long + ":2: line longer than 65536 bytes\n" +
		"lookup b: " + empty + ": no values in it\n" +
		"lookup c: " + dir + ": a directory, must be a file\n" +
		"lookup d: " + dir + "/none: no such file or directory"
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}
