package rules

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

func ruleText(id, key, when string) string {
	return fmt.Sprintf("id: %s\nversion: 1\nkey: %s\nwhere: 'true'\nfeatures: {n: count(\"1h\")}\nwhen: '%s'\n", id, key, when)
}

func mustParse(t *testing.T, sources ...string) []*Rule {
	t.Helper()
	var rs []*Rule
	for i, src := range sources {
		r, err := Parse(fmt.Sprintf("r%d.yaml", i), []byte(src), testOptions)
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	return rs
}

func TestSignalsFitTheWholeSet(t *testing.T) {
	for name, c := range map[string]struct {
		sources []string
		want    []string
	}{
		"good": {[]string{
			ruleText("a", "ip", "n > 1"), ruleText("b", "[ip, site]", `n > 1 and signal("a", "1h")`),
			ruleText("c", "[ip, site, agent]", `signal("a", "1h") or signal("b", "1h")`),
		}, nil},
		"unknown": {[]string{ruleText("ato.spray", "ip", "n > 1"), ruleText("b", "ip", `n > 1 and signal("ato.sprya", "1h")`)},
			[]string{"r1.yaml:6:25: when: unknown rule ato.sprya (did you mean ato.spray?)\n | n > 1 and signal(\"ato.sprya\", \"1h\")\n |                  ^"}},
		"key": {[]string{ruleText("a", "[ip, agent]", "n > 1"), ruleText("b", "[ip, site]", `signal("a", "1h")`)},
			[]string{"r1.yaml:6:15: when: a has agent in its key, which this rule's key lacks"}},
		"fixed": {[]string{ruleText("a", "[ip, agent_kind]", "n > 1"), strings.Replace(ruleText("b", "ip", `n > 1 and signal("a", "1h")`), `where: 'true'`, `where: agent_kind == "browser" and status > 0`, 1)}, nil},
		"fixed to one of two": {[]string{ruleText("a", "[ip, agent_kind]", "n > 1"), strings.Replace(ruleText("b", "ip", `n > 1 and signal("a", "1h")`), `where: 'true'`, `where: agent_kind in ["browser", "app"]`, 1)},
			[]string{"when: a has agent_kind in its key, which this rule's key lacks"}},
		"fixed kind": {[]string{ruleText("a", "[ip, kind]", "n > 1"), strings.Replace(ruleText("b", "ip", `n > 1 and signal("a", "1h")`), `where: 'true'`, `where: kind == "login" and status > 0`, 1)}, nil},
		"fixed to one of two kinds": {[]string{ruleText("a", "[ip, kind]", "n > 1"), strings.Replace(ruleText("b", "ip", `n > 1 and signal("a", "1h")`), `where: 'true'`, `where: kind in ["login", "signup"]`, 1)},
			[]string{"when: a has kind in its key, which this rule's key lacks"}},
		"fixed to no kind": {[]string{ruleText("a", "[ip, kind]", "n > 1"), strings.Replace(ruleText("b", "ip", `n > 1 and signal("a", "1h")`), `where: 'true'`, `where: kind == "" and status > 0`, 1)},
			[]string{"when: a has kind in its key, which this rule's key lacks"}},
		"itself": {[]string{ruleText("a", "ip", `signal("a", "1h")`)}, []string{"when: signals in a circle: a -> a"}},
		"circle": {[]string{
			ruleText("a", "ip", `signal("b", "1h")`), ruleText("b", "ip", `signal("c", "1h")`), ruleText("c", "ip", `signal("b", "1h")`),
		}, []string{"r2.yaml:6:15: when: signals in a circle: b -> c -> b"}},
		"twice":  {[]string{ruleText("a", "ip", "n > 1"), ruleText("a", "net", "n > 1")}, []string{"r1.yaml:1:5: id: the id a is taken by r0.yaml"}},
		"in if":  {[]string{ruleText("a", "ip", "n > 1") + "then: {block: ip, if: 'signal(\"x.y\", \"1h\")'}"}, []string{"r0.yaml:7:31: then.if: unknown rule x.y"}},
		"extras": {[]string{ruleText("a", "x.plan", "n > 1"), ruleText("b", "ip", `signal("a", "1h")`)}, []string{"when: a has x.plan in its key"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := Check(mustParse(t, c.sources...))
			if err == nil && c.want != nil || err != nil && c.want == nil {
				t.Fatalf("%v, want %q", err, c.want)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got:\n%v\nwant:\n%s", err, want)
				}
			}
		})
	}
}

func TestIDsArePaths(t *testing.T) {
	files := fstest.MapFS{
		"rulesets/ato/spray.yaml":  {Data: []byte(ruleText("ato.spray", "ip", "n > 1"))},
		"rulesets/top.yaml":        {Data: []byte(ruleText("top", "ip", "n > 1"))},
		"rulesets/ato/spray.test":  {Data: []byte("rule ato.spray\n")},
		"rulesets/versions.lock":   {Data: []byte("x")},
		"elsewhere/ato/spray.yaml": {Data: []byte("x")},
	}
	rs, err := LoadFS(files, "rulesets", testOptions)
	if err != nil || len(rs) != 2 || rs[0].ID != "ato.spray" || rs[0].File != "rulesets/ato/spray.yaml" || rs[1].ID != "top" {
		t.Fatalf("%v, %v", rs, err)
	}
	files["rulesets/b/c.yaml"] = &fstest.MapFile{Data: []byte(ruleText("b.d", "ip", "n > 1"))}
	files["rulesets/b/e.yaml"] = &fstest.MapFile{Data: []byte(ruleText("b.e", "ip", "m > 1"))}
	files["rulesets/b/f.yaml"] = &fstest.MapFile{Data: []byte(strings.Repeat("#", MaxSource+1))}
	rs, err = LoadFS(files, "rulesets", testOptions)
	want := "rulesets/b/c.yaml:1:5: id: b.d is not the file's path, which says b.c\n | id: b.d\n |     ^\n" +
		"rulesets/b/e.yaml:6:8: when: unknown name m\n | m > 1\n | ^\n" +
		"rulesets/b/f.yaml: 4097 bytes, must be at most 4096"
	if err == nil || err.Error() != want || len(rs) != 2 {
		t.Errorf("%d rules, got:\n%v\nwant:\n%s", len(rs), err, want)
	}
	rs, err = LoadFS(fstest.MapFS{"ato/spray.yaml": files["rulesets/ato/spray.yaml"]}, ".", testOptions)
	if err != nil || len(rs) != 1 {
		t.Errorf("%v, %v", rs, err)
	}
	if _, err := LoadFS(files, "nowhere", testOptions); err == nil {
		t.Error("a directory that does not exist is no error")
	}
}
