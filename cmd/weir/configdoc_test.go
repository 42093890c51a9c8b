package main

import (
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"weir/enrich"
	"weir/event"
)

// configKeys adds every key of a configuration's type, as weir.yaml nests them,
// with the struct that it is a key of.
func configKeys(t reflect.Type, prefix string, keys map[string]reflect.Type) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		inner := f.Type
		for inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if options == "inline" {
			configKeys(inner, prefix, keys)
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		path := prefix + name
		keys[path] = t
		if inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct {
			inner, path = inner.Elem(), path+"[]"
		}
		if inner.Kind() == reflect.Struct {
			configKeys(inner, path+".", keys)
		}
	}
}

func TestEveryKeyOfTheConfigurationIsInItsReference(t *testing.T) {
	src, err := os.ReadFile("../../docs/CONFIG.md")
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]reflect.Type{}
	configKeys(reflect.TypeFor[config](), "", keys)
	if len(keys) < 60 {
		t.Fatalf("%d keys", len(keys))
	}
	seen := map[string]bool{}
	text, _, _ := strings.Cut(string(src), "## The site file")
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		key, ok := strings.CutPrefix(cells[0], "| `")
		if !ok {
			continue
		}
		key = strings.TrimSuffix(key, "`")
		in, exists := keys[key]
		switch {
		case !exists:
			t.Errorf("%s: there is no such key", key)
			continue
		case seen[key]:
			t.Errorf("%s: is there twice", key)
		case len(cells) != 5:
			t.Errorf("%s: %d cells, must be 5", key, len(cells))
			continue
		}
		seen[key] = true
		example := strings.TrimSuffix(strings.TrimPrefix(cells[4], "`"), "` |")
		if name := key[strings.LastIndex(key, ".")+1:]; !strings.HasPrefix(example, name+":") {
			t.Errorf("%s: the example %s is of another key", key, example)
		}
		if err := yaml.UnmarshalWithOptions([]byte(example), reflect.New(in).Interface(), yaml.Strict()); err != nil {
			t.Errorf("%s: the example %s: %v", key, example, err)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !seen[key] {
			t.Errorf("%s: is not in docs/CONFIG.md", key)
		}
	}
}

func TestTheExampleOfTheReferenceIsAConfiguration(t *testing.T) {
	src, err := os.ReadFile("../../docs/CONFIG.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(src), "```yaml\n")
	text, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("there is no example")
	}
	path := t.TempDir() + "/weir.yaml"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(path)
	if err == nil {
		err = c.faultsLive()
	}
	if err != nil {
		t.Error(err)
	}
}

func TestTheSiteFileOfTheReferenceIsOne(t *testing.T) {
	src, err := os.ReadFile("../../docs/CONFIG.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(src), "## The site file")
	_, rest, opened := strings.Cut(section, "```yaml\n")
	text, _, closed := strings.Cut(rest, "```")
	if !ok || !opened || !closed {
		t.Fatal("there is no example")
	}
	s, err := enrich.ParseSite("site.yaml", []byte(text))
	if err != nil || len(s.Endpoints) != 3 || len(s.Allow) != 2 {
		t.Fatalf("%v", err)
	}
	for k := event.Kind(1); k < event.NumKinds; k++ {
		if !strings.Contains(section, k.String()) {
			t.Errorf("kind %s is not named", k)
		}
	}
	// Each key that the table names is one, and none else.
	for key, want := range map[string]bool{
		"endpoints: [{pattern: /a, kind: none, failure: status == 1, success: status == 2, deprecated: true}]":                               true,
		"endpoints: [{pattern: /a, item: query.b}]":                                                                                          true,
		"allow: [{match: {ip: 203.0.113.0/24}, rules: [a.*], actions: [limit], owner: a, reason: b, until: 2027-01-31}]\nquery_secrets: [a]": true,
		"endpoints: [{pattern: /a, query: b}]":                                                                                               false,
	} {
		if _, err := enrich.ParseSite("site.yaml", []byte(key)); (err == nil) != want {
			t.Errorf("%s: %v", key, err)
		}
	}
}
