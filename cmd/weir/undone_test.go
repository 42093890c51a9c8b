package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Most rules challenge, and a point blocks unless it is told otherwise; and most
// proxies know addresses only. Who configures nothing else must hear what is not done.
func TestCheckSaysWhatNoPointDoes(t *testing.T) {
	t.Parallel()
	const rule = "id: own.%s\nversion: 1\ntitle: A rule\nkey: ip\nwhere: \"true\"\nfeatures: {n: 'count(\"1m\")'}\nwhen: n > 9\nthen: {%s, for: 1m}\nstage: %s\n"
	for _, c := range []struct {
		stage, points string
		says          []string
	}{
		{"enforce", "[{name: proxy, file: {path: b}}]", []string{
			"no point takes challenge: what 6 rules ask for by it (own.a, own.b, own.c and 3 more) is only written down; where a proxy can do it, name it under actions: of its point",
			"no point takes limit: what one rule asks for by it (own.e) is only written down;",
		}},
		{"enforce", "[{name: proxy, file: {path: b}}, {name: edge, actions: [challenge], file: {path: c}}]", []string{
			"no point can tell whom 2 rules ask to challenge (own.i, own.j): a target without an address, or one that spares who is known,",
			"no point takes limit: what one rule asks for by it (own.e) is only written down;",
		}},
		{"enforce", "[{name: edge, actions: [limit], file: {path: c}}]", []string{
			"no point takes challenge: what 6 rules ask for by it (own.a, own.b, own.c and 3 more) is only written down; where a proxy can do it, name it under actions: of its point",
			"no point takes block: what one rule asks for by it (own.f) is only written down;",
			"no point takes deceive: what one rule asks for by it (own.g) is only written down;",
		}},
		{"enforce", "[]", nil},
		{"shadow", "[{name: proxy, file: {path: b}}]", nil},
	} {
		dir := t.TempDir()
		must0(t, os.MkdirAll(filepath.Join(dir, "rules", "own"), 0o700))
		for id, then := range map[string]string{
			"a": "challenge: ip", "b": "challenge: ip", "c": "challenge: ip", "d": "challenge: ip", "e": "limit: ip, to: 10/1m",
			"f": "block: [ip, endpoint], if: good == 0", "g": "deceive: ip, if: good == 0", "h": "alert: ip",
			"i": "challenge: ip, except: known(ip)", "j": "challenge: [endpoint, fingerprint]",
		} {
			text := strings.NewReplacer("%s, for", then+", for", "own.%s", "own."+id, "stage: %s", "stage: enforce").Replace(rule)
			must0(t, os.WriteFile(filepath.Join(dir, "rules", "own", id+".yaml"), []byte(text), 0o600))
		}
		must0(t, os.WriteFile(filepath.Join(dir, "key"), []byte("0123456789abcdef0123456789abcdef"), 0o600))
		must0(t, os.WriteFile(filepath.Join(dir, "access.log"), nil, 0o600))
		config := filepath.Join(dir, "weir.yaml")
		must0(t, os.WriteFile(config, []byte("stage: "+c.stage+"\nsources: [{name: web, format: combined, file: {path: access.log, follow: true}}]\nkey_file: key\nstate: {dir: state}\nrules: {dirs: [rules]}\npoints: "+c.points+"\n"), 0o600))
		out, err := weir("check", "-c", config)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		out = strings.Join(strings.Fields(out), " ")
		must(t, out, c.says...)
		if n := strings.Count(out, "no point "); n != len(c.says) {
			t.Errorf("stage %s, points %s: says %d things, want %d: %s", c.stage, c.points, n, len(c.says), out)
		}
	}
}
