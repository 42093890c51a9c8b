package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"weir/enrich"
	"weir/event"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// weir runs the program and returns what it wrote.
func weir(args ...string) (out string, err error) {
	var o, e bytes.Buffer
	err = run(context.Background(), args, &o, &e)
	return o.String(), err
}

// golden compares a text with a file of testdata.
func golden(t *testing.T, file, got string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s (-update rewrites it):\n%s", path, got)
	}
}

const (
	shopConfig = "testdata/inspect/weir.yaml"
	shopLog    = "testdata/inspect/shop.log"
)

func TestInspectSaysWhatALogHolds(t *testing.T) {
	text, err := weir("inspect", "-c", shopConfig, shopLog)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "inspect/shop.golden", text)
	bare, err := weir("inspect", shopLog)
	if err != nil {
		t.Fatal(err)
	}
	text += bare
	for n, line := range strings.Split(text, "\n") {
		if utf8.RuneCountInString(line) > screen {
			t.Errorf("line %d has %d columns, must be at most %d: %s", n+1, utf8.RuneCountInString(line), screen, line)
		}
		if strings.ContainsRune(line, '\x1b') {
			t.Errorf("line %d moves the cursor: %q", n+1, line)
		}
	}
	object, err := weir("inspect", "-c", shopConfig, "--json", shopLog)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "inspect/shop.json", object)
	if strings.Contains(object, "hunter2") || strings.Contains(text, "hunter2") {
		t.Error("a secret of a query string is shown")
	}
}

// inspected runs weir inspect --json.
func inspected(t *testing.T, args ...string) (in inspection) {
	t.Helper()
	out, err := weir(append([]string{"inspect", "--json"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(out), &in); err != nil {
		t.Fatal(err)
	}
	return in
}

func TestTheProposedSiteFileSaysWhatWasGuessed(t *testing.T) {
	guessed := inspected(t, shopLog)
	if _, err := enrich.ParseSite("site.yaml", []byte(guessed.SiteFile)); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "site.yaml", guessed.SiteFile)
	config := write(t, dir, "weir.yaml", "sources: [{name: shop, format: nginx-json}]\nsite: site.yaml\n")
	told := inspected(t, "-c", config, shopLog)
	if told.SiteFile != "" {
		t.Errorf("with that site file another one is proposed:\n%s", told.SiteFile)
	}
	if len(told.Endpoints.Shown) != len(guessed.Endpoints.Shown) {
		t.Fatalf("%d endpoints, were %d", len(told.Endpoints.Shown), len(guessed.Endpoints.Shown))
	}
	kinds := 0
	for i, e := range told.Endpoints.Shown {
		g := guessed.Endpoints.Shown[i]
		if e.Endpoint != g.Endpoint || e.Kind != g.Kind || e.Success != g.Success || e.Failure != g.Failure || e.None != g.None {
			t.Errorf("%+v, was %+v", e, g)
		}
		if e.From.Kind == "site file" {
			kinds++
		}
	}
	if kinds == 0 {
		t.Error("no kind comes from the site file")
	}
}

// A log-in that shows its form again with a 200 looks as if nobody ever failed.
func TestALogInAtWhichNobodyEverFailsIsDoubted(t *testing.T) {
	for _, c := range []struct {
		name         string
		form, opened int // answers with 200 and with 303
		refused      int // with 401
		doubted      bool
		proposed     bool
	}{
		{"the form again", 60, 60, 0, true, true},
		{"one in fifty is the form", 3, 147, 0, true, true},
		{"one in fifty is led on", 147, 3, 0, true, false},
		{"fewer are something else", 2, 148, 0, false, false},
		{"few tries", 45, 45, 0, false, false},
		{"one in a hundred is refused", 60, 60, 2, true, true},
		{"some are refused", 60, 60, 3, false, false},
		{"one answer", 200, 0, 0, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log strings.Builder
			for i, n := range []int{c.form, c.opened, c.refused} {
				for k := range n {
					fmt.Fprintf(&log, "192.0.2.%d - - [02/Mar/2026:10:%02d:%02d +0000] \"POST /forum/login HTTP/1.1\" %d 512 \"-\" \"Mozilla/5.0\"\n", k%200+1, k/60, k%60, []int{200, 303, 401}[i])
				}
			}
			in := inspected(t, write(t, t.TempDir(), "access.log", log.String()))
			doubt := in.Endpoints.Shown[0].Doubt
			if (doubt != "") != c.doubted || c.doubted && !strings.Contains(doubt, "failure: status == 200") {
				t.Errorf("doubt %q", doubt)
			}
			if says := strings.Contains(in.SiteFile, "or status == 200"); says != c.proposed {
				t.Errorf("the site file is\n%s", in.SiteFile)
			}
		})
	}
}

func TestAProxyInFrontIsTold(t *testing.T) {
	line := func(ip, forwarded string) string {
		return fmt.Sprintf(`{"time_iso8601":"2026-03-06T09:00:00+00:00","remote_addr":"%s","http_x_forwarded_for":"%s",`+
			`"request_method":"GET","request_uri":"/","status":200}`+"\n", ip, forwarded)
	}
	many := func(ip func(i int) string, forwarded string) string {
		var b strings.Builder
		for i := range 300 {
			b.WriteString(line(ip(i), forwarded))
		}
		return b.String()
	}
	for _, c := range []struct {
		name, log string
		proxies   []string
	}{
		{"two private addresses carry everything", many(func(i int) string { return fmt.Sprintf("10.0.0.%d", 1+i%2) }, "192.0.2.1"), []string{"10.0.0.1", "10.0.0.2"}},
		{"one public address carries nearly everything", many(func(i int) string {
			if i%20 == 0 {
				return fmt.Sprintf("198.51.100.%d", i%250)
			}
			return "203.0.113.5"
		}, ""), []string{"203.0.113.5"}},
		{"forty private addresses carry everything", many(func(i int) string { return fmt.Sprintf("10.0.0.%d", 1+i%40) }, "192.0.2.1"),
			[]string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"}},
		{"everybody has an address of his own", many(func(i int) string { return fmt.Sprintf("198.18.%d.%d", i/250, 1+i%250) }, "192.0.2.1"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := inspected(t, write(t, t.TempDir(), "access.log", c.log))
			if got, want := strings.Join(in.Addresses.Proxies, " "), strings.Join(c.proxies, " "); got != want {
				t.Errorf("proxies %q, want %q", got, want)
			}
		})
	}
}

func TestTablesOfALookHaveLimits(t *testing.T) {
	var b strings.Builder
	for i := range maxDistinct + 500 {
		fmt.Fprintf(&b, "198.18.%d.%d - - [06/Mar/2026:09:00:00 +0000] \"GET /area%s/x HTTP/1.1\" 200 5 \"-\" \"agent%d-bot/1\"\n",
			i/250, 1+i%250, strings.Repeat("a", 1+i%90)+strings.Repeat("b", 1+i/90), i)
	}
	in := inspected(t, write(t, t.TempDir(), "access.log", b.String()))
	found := 0
	for _, f := range in.Fields {
		if f.Values > maxDistinct {
			t.Errorf("%s: %d values, must be at most %d", f.Name, f.Values, maxDistinct)
		}
		if f.Name == "path" || f.Name == "agent" || f.Name == "ip" {
			if found++; !f.More {
				t.Errorf("%s: it does not say that there are more than %d values", f.Name, f.Values)
			}
		}
	}
	if found != 3 {
		t.Errorf("%d of three fields found", found)
	}
	tables, err := enrich.New(enrich.Config{Key: event.FixedKey()})
	if err != nil {
		t.Fatal(err)
	}
	worker := tables.Worker(enrich.Source{})
	endpoints, addresses := newEndpointTally(), newAddressTally()
	const n = maxAddresses + 100
	for i := range n {
		ev := event.Event{
			IP: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), Method: "POST", Path: "/login", Kind: event.Login, Status: 401,
			Endpoint: fmt.Sprintf("POST /login/%d", i%(n/2)), AgentKind: "crawler-claim", AgentFamily: fmt.Sprint(i),
		}
		endpoints.add(&ev, worker)
		addresses.add(&ev)
	}
	if e := endpoints.result(); e.Different != maxEndpoints || e.Other != n-2*maxEndpoints || !e.More || len(e.Shown) != shownEndpoints {
		t.Errorf("%d endpoints, %d requests of more, %d shown; want %d, %d and %d", e.Different, e.Other, len(e.Shown), maxEndpoints, n-2*maxEndpoints, shownEndpoints)
	}
	if a := addresses.result(n, false, false); a.Different != maxAddresses || !a.More || len(addresses.claims) != maxClaims {
		t.Errorf("%d addresses, %d claims; want %d and %d", a.Different, len(addresses.claims), maxAddresses, maxClaims)
	}
}

func TestTheProposedConfigurationIsOne(t *testing.T) {
	in := inspected(t, shopLog)
	in.Addresses.Proxies = []string{"10.0.0.1", "2001:db8:1:2::/64"}
	dir := t.TempDir()
	write(t, dir, "site.yaml", in.SiteFile)
	config := write(t, dir, "weir.yaml", in.proposedConfig())
	if got := inspected(t, "-c", config, shopLog); got.Lines.Events != in.Lines.Events {
		t.Errorf("%d events with it, %d without", got.Lines.Events, in.Lines.Events)
	}
}

func TestKeysThatNothingIsMappedToAreNamed(t *testing.T) {
	line := func(n int) string {
		return fmt.Sprintf(`{"ts":"2026-03-06T09:00:00Z","remote_addr":"192.0.2.7","acct":"ann","k%d":"hunter2"}`+"\n", n)
	}
	var b strings.Builder
	for n := range 2 {
		b.WriteString(line(n))
	}
	dir := t.TempDir()
	file := write(t, dir, "access.log", b.String())
	out, err := weir("inspect", "--format", "nginx-json", file)
	if want := "  keys in the log that weir does not use: acct, k0, k1\n"; err != nil || !strings.Contains(out, want) || strings.Contains(out, "hunter2") {
		t.Errorf("error %v, want %q in\n%s", err, want, out)
	}
	config := write(t, dir, "weir.yaml", "sources: [{name: web, format: nginx-json, fields: {credential: acct}}]\n")
	if in := inspected(t, "-c", config, file); strings.Join(in.Unread, " ") != "k0 k1" {
		t.Errorf("with the account mapped: %q", in.Unread)
	}
	b.Reset()
	for n := range 2000 {
		b.WriteString(line(n))
	}
	if out, err := weir("inspect", write(t, dir, "many.log", b.String())); err != nil || !strings.Contains(out, "and others") {
		t.Errorf("error %v, want that there are others in\n%s", err, out)
	}
}

func TestInspectReadsNoMoreThanItIsAsked(t *testing.T) {
	in := inspected(t, "--lines", "40", shopLog)
	if in.Lines.Read < 40 || in.Lines.Read > sampleLines {
		t.Errorf("%d lines read, want 40 or what the guess needed", in.Lines.Read)
	}
	all := inspected(t, "--lines", "0", shopLog)
	if all.Lines.Read != 94 || all.Lines.Cut {
		t.Errorf("%d lines read, want all 94 and nothing cut: %v", all.Lines.Read, all.Lines.Cut)
	}
}

func TestInspectSaysInOneSentenceWhatItCannotRead(t *testing.T) {
	dir := t.TempDir()
	empty := write(t, dir, "empty.log", "")
	blank := write(t, dir, "blank.log", "\n\n\n")
	prose := write(t, dir, "prose.log", strings.Repeat("It was a dark and stormy night.\n", 20))
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no file", nil, 2, "no file given"},
		{"missing file", []string{filepath.Join(dir, "gone.log")}, 2, "no such file"},
		{"directory", []string{dir}, 2, "a directory; name its files"},
		{"empty file", []string{empty}, 2, "empty.log: empty"},
		{"blank lines", []string{blank}, 1, "no line to guess from"},
		{"no format fits", []string{prose}, 1, "reads any of the first lines (20 tried)"},
		{"what to do where no format fits", []string{prose}, 1, "pattern: '<ip>"},
		{"unknown format", []string{"--format", "xml", shopLog}, 2, "xml, must be one of"},
		{"another format", []string{"--format", "haproxy", shopLog}, 1, "no line could be read as haproxy"},
		{"negative lines", []string{"--lines", "-1", shopLog}, 2, "--lines -1: must not be negative"},
		{"missing configuration", []string{"-c", filepath.Join(dir, "gone.yaml"), shopLog}, 2, "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := weir(append([]string{"inspect"}, c.args...)...)
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q, want it to say %q", err, c.want)
			}
			if code := exitCode(err); code != c.code {
				t.Errorf("exit code %d, want %d (%v)", code, c.code, errors.Is(err, errUsage))
			}
		})
	}
}

func write(t *testing.T, dir, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// What asks of nobody that he was refused before can be asked where no account is named, too.
func TestARuleThatAsksAboutStrangersIsNotBlindWithoutAccounts(t *testing.T) {
	var log strings.Builder
	for i := range 200 {
		fmt.Fprintf(&log, "192.0.2.%d - - [02/Mar/2026:10:%02d:%02d +0000] \"POST /login HTTP/1.1\" %d 512 \"-\" \"Mozilla/5.0\"\n", i%200+1, i/60, i%60, []int{401, 200}[i%2])
	}
	in := inspected(t, write(t, t.TempDir(), "access.log", log.String()))
	for rule, blind := range map[string]bool{"ato.strangers_fail": false, "ato.listed_source": false, "ato.account_under_fire": true} {
		at := slices.IndexFunc(in.Rules, func(r ruleFacts) bool { return r.Rule == rule })
		if at < 0 || (in.Rules[at].State == ruleBlind) != blind {
			t.Errorf("%s is %+v, blind must be %v", rule, in.Rules[at], blind)
		}
	}
}
