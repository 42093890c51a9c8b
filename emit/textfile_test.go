package emit

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/event"
)

// textPoint makes a plain list in a new directory.
func textPoint(t *testing.T, cfg FileConfig) *textFile {
	t.Helper()
	dir := t.TempDir()
	if cfg.Path == "" {
		cfg.Path = "list.txt"
	}
	p, err := newTextFile(cfg, Setting{
		Name: "plain", Actions: onlyBlock, Path: func(p string) string { return filepath.Join(dir, p) }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p.(*textFile)
}

func entriesOf(texts string) (l List) {
	for i, p := range prefixes(texts) {
		l.Entries = append(l.Entries, Entry{Prefix: p, Action: event.Block, Until: listNow.Add(time.Duration(i+1) * time.Minute), ID: fmt.Sprintf("%x", i)})
	}
	l.Meant = true
	return l
}

func where(l List) string {
	var out []string
	for _, e := range l.Entries {
		out = append(out, e.Prefix.String())
	}
	return strings.Join(out, " ")
}

const someAddresses = "192.0.2.7/32 198.51.100.0/24 2001:db8::1/128 2001:db8:0:1::/64"

func TestAPlainListIsAnAddressALine(t *testing.T) {
	p := textPoint(t, FileConfig{Mode: "0640"})
	if err := p.Try(t.Context()); err != nil {
		t.Fatal(err)
	}
	empty, err := p.Read(t.Context())
	if err != nil || len(empty.Entries) != 0 {
		t.Fatalf("%v, %v: a file that is not there is an empty list", err, empty)
	}
	want := entriesOf(someAddresses)
	if err := p.Apply(t.Context(), empty, want); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(p.path)
	const body = "192.0.2.7\n198.51.100.0/24\n2001:db8::1\n2001:db8:0:1::/64\n"
	head := "# weir: 4 entries, valid until 2026-03-06T12:04:00Z, sha256 " + sumOf([]byte(body)) + "\n"
	if err != nil || string(b) != head+body {
		t.Errorf("%v:\n%s", err, b)
	}
	if info, err := os.Stat(p.path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	have, err := p.Read(t.Context())
	if err != nil || where(have) != someAddresses {
		t.Errorf("%v, read back %s", err, where(have))
	}
	if c := Diff(have.Entries, want.Entries, p.Capabilities(), listNow); c.drift() != 0 {
		t.Errorf("%+v", c)
	}
	if err := p.Apply(t.Context(), have, List{Meant: true}); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(p.path); err != nil || !strings.HasPrefix(string(b), "# weir: 0 entries, valid until -, sha256 ") || bytes.Count(b, []byte("\n")) != 1 {
		t.Errorf("%v: %q", err, b)
	}
}

func TestAForeignEditOfAPlainListIsRepaired(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for what, edit := range map[string]func(string) string{
		"a line more":        func(s string) string { return s + "203.0.113.1\n" },
		"a line less":        func(s string) string { return strings.Replace(s, "192.0.2.7\n", "", 1) },
		"a comment":          func(s string) string { return s + "# mine\n" },
		"garbage":            func(s string) string { return s + "\x00<b>\n" },
		"a long line":        func(s string) string { return s + long + "\n" },
		"a line twice":       func(s string) string { return s + "2001:db8:0:1::/64\n" },
		"an unmasked prefix": func(s string) string { return s + "203.0.113.1/24\n" },
		"a zone":             func(s string) string { return s + "fe80::1%eth0\n" },
		"an empty line":      func(s string) string { return s + "\n" },
		"half a line":        func(s string) string { return strings.TrimSuffix(s, "\n") },
		"half the file":      func(s string) string { return s[:len(s)-20] },
		"nothing behind":     func(s string) string { return s[:strings.Index(s, "\n")+1] },
		"another count":      func(s string) string { return strings.Replace(s, "4 entries", "5 entries", 1) },
	} {
		p := textPoint(t, FileConfig{})
		want := entriesOf(someAddresses)
		if err := p.Apply(t.Context(), List{}, want); err != nil {
			t.Fatal(err)
		}
		whole, err := os.ReadFile(p.path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p.path, []byte(edit(string(whole))), 0o644); err != nil {
			t.Fatal(err)
		}
		have, err := p.Read(t.Context())
		if c := Diff(have.Entries, want.Entries, p.Capabilities(), listNow); err != nil || c.drift() == 0 {
			t.Errorf("%s: %v, no drift", what, err)
		}
		if !slices.IsSortedFunc(have.Entries, func(a, b Entry) int { return compareEntries(&a, &b) }) {
			t.Errorf("%s: not sorted", what)
		}
		if err := p.Apply(t.Context(), have, want); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if b, err := os.ReadFile(p.path); err != nil || !bytes.Equal(b, whole) {
			t.Errorf("%s: %v, not repaired", what, err)
		}
	}
}

func TestSomebodyElsesFileIsLeftAlone(t *testing.T) {
	no := false
	for what, content := range map[string]string{
		"addresses": "192.0.2.1\n", "a comment": "# my list\n192.0.2.1\n", "an old header": "# weir: list\n", "a header with more": "# weir: 0 entries, valid until -, sha256 " + sumOf(nil) + " x\n",
		"a blank line": "\n", "bytes": "\x00\x01",
	} {
		for _, header := range []*bool{nil, &no} {
			p := textPoint(t, FileConfig{Header: header})
			if err := os.WriteFile(p.path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := p.Read(t.Context())
			if !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), p.path+" was not written by weir") {
				t.Errorf("%s: Read: %v", what, err)
			}
			if err := p.Apply(t.Context(), List{}, entriesOf(someAddresses)); !errors.Is(err, ErrPermanent) {
				t.Errorf("%s: Apply: %v", what, err)
			}
			if err := p.Try(t.Context()); err == nil {
				t.Errorf("%s: Try says nothing", what)
			}
			if b, err := os.ReadFile(p.path); err != nil || string(b) != content {
				t.Errorf("%s: %v, now %q", what, err, b)
			}
			// Emptied, it is weir's to use.
			if err := os.Truncate(p.path, 0); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(p.Try(t.Context()), p.Apply(t.Context(), List{}, entriesOf(someAddresses))); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

func TestAPlainListWithoutAHeader(t *testing.T) {
	no := false
	p := textPoint(t, FileConfig{Header: &no})
	want := entriesOf("192.0.2.7/32")
	if err := p.Apply(t.Context(), List{}, want); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(p.path)
	head, err2 := os.ReadFile(p.path + ".weir")
	if err != nil || err2 != nil || string(b) != "192.0.2.7\n" || !strings.HasPrefix(string(head), "# weir: 1 entries, valid until 2026-03-06T12:01:00Z, sha256 ") {
		t.Errorf("%v %v: %q, %q", err, err2, b, head)
	}
	have, err := p.Read(t.Context())
	if err != nil || where(have) != "192.0.2.7/32" {
		t.Errorf("%v, %s", err, where(have))
	}
	// Killed between the two files, the list is not what its header says.
	if err := replaceFile(p.path, []byte("192.0.2.8\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	have, err = p.Read(t.Context())
	if c := Diff(have.Entries, entriesOf("192.0.2.8/32").Entries, p.Capabilities(), listNow); err != nil || c.drift() == 0 {
		t.Errorf("%v, no drift", err)
	}
}

func TestAPlainListIsReapedWhenItIsOver(t *testing.T) {
	for _, header := range []bool{true, false} {
		p := textPoint(t, FileConfig{Header: &header})
		if done, err := p.Reap(listNow); done || err != nil {
			t.Fatalf("%v, %v: there is no file", done, err)
		}
		if err := p.Apply(t.Context(), List{}, entriesOf(someAddresses)); err != nil {
			t.Fatal(err)
		}
		if done, err := p.Reap(listNow.Add(4*time.Minute - time.Second)); done || err != nil {
			t.Errorf("%v, %v before its end", done, err)
		}
		if done, err := p.Reap(listNow.Add(4 * time.Minute)); !done || err != nil {
			t.Errorf("%v, %v at its end", done, err)
		}
		if l, err := p.Read(t.Context()); err != nil || len(l.Entries) != 0 {
			t.Errorf("%v, %s", err, where(l))
		}
		if done, err := p.Reap(listNow.Add(time.Hour)); done || err != nil {
			t.Errorf("%v, %v a second time", done, err)
		}
	}
}

func TestAPlainListIsBounded(t *testing.T) {
	if c := textPoint(t, FileConfig{}).Capabilities(); c.Capacity != maxTextEntries || c.Any || c.Ends || len(c.Endpoints) > 0 || c.MinInterval == 0 {
		t.Errorf("%+v", c)
	}
	longest := Entry{Prefix: netip.MustParsePrefix("2001:db80:ffff:ffff:ffff:ffff:ffff:fffe/127")}
	if n := len(listText([]Entry{longest})) * maxTextEntries; n > maxTextFile-1024 {
		t.Errorf("the longest list has %d bytes, read are %d", n, maxTextFile)
	}
	p := textPoint(t, FileConfig{})
	f, err := os.Create(p.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(maxTextFile+1), f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(t.Context()); !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), "more than") {
		t.Errorf("%v", err)
	}
}

func TestFaultsOfAPlainListsConfiguration(t *testing.T) {
	s := Setting{Actions: onlyBlock, Path: func(p string) string { return p }, Log: slog.New(slog.DiscardHandler)}
	for _, c := range []struct {
		cfg     FileConfig
		actions []event.Action
		why     string
	}{
		{FileConfig{}, onlyBlock, "path: is missing"},
		{FileConfig{Path: "x", Mode: "0o844"}, onlyBlock, "must be octal"},
		{FileConfig{Path: "x", Mode: "0444"}, onlyBlock, "must be octal"},
		{FileConfig{Path: "x", Mode: "4644"}, onlyBlock, "must be octal"},
		{FileConfig{Path: "x"}, enforceable, "actions: 4, must be one"},
	} {
		s.Actions = c.actions
		if _, err := newTextFile(c.cfg, s); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%+v: %v, must say %q", c.cfg, err, c.why)
		}
	}
}

func TestAPlainListThatIsOverGoesWhateverTheLedgerSays(t *testing.T) {
	p := textPoint(t, FileConfig{})
	want := entriesOf("192.0.2.7/32 192.0.2.8/32")
	for i, end := range []time.Duration{time.Hour, -time.Second} {
		for j := range want.Entries {
			want.Entries[j].Until = time.Now().Add(end).Truncate(time.Second)
		}
		if err := p.Apply(t.Context(), List{}, want); err != nil {
			t.Fatal(err)
		}
		l := newLaw()
		l.set(&Force{}) // it could not be read
		r := newReconciler(l.InForce, l.Changed, p, nil, slog.New(slog.DiscardHandler))
		err := r.Once(t.Context())
		have, err2 := p.Read(t.Context())
		if held := []int{2, 0}[i]; len(have.Entries) != held || (err == nil) != (held == 0) || err2 != nil {
			t.Errorf("ends in %v: %v %v, holds %s", end, err, err2, where(have))
		}
	}
}

// FuzzPlainList reads files that anybody may have written.
func FuzzPlainList(f *testing.F) {
	body := listText(entriesOf(someAddresses).Entries)
	f.Add(append(newTextHead(body, 4, listNow).append(nil), body...))
	f.Add([]byte("# weir: 0 entries, valid until -, sha256 " + sumOf(nil) + "\n"))
	f.Add([]byte("192.0.2.1\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		first, rest, _ := bytes.Cut(file, []byte{'\n'})
		head := parseHead(first)
		ps, fault := parsePlainLines(rest)
		if head == nil || fault != nil || head.check(rest, len(ps)) != nil {
			return
		}
		var es []Entry
		for _, p := range ps {
			es = append(es, Entry{Prefix: p})
		}
		if again := listText(es); len(again) > len(rest) {
			t.Errorf("%q is written as %q", rest, again)
		}
	})
}
