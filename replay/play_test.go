package replay

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"weir/event"
	"weir/rules"
	"weir/rulesets"
)

var update = flag.Bool("update", false, "write the golden files anew")

// library returns the rules of the tests.
var library = sync.OnceValues(func() (*Library, error) {
	rs, err := rules.LoadFS(os.DirFS("testdata/rules"), ".", rules.Options{})
	if err != nil {
		return nil, err
	}
	return &Library{Rules: rs}, rules.Check(rs)
})

func testLibrary(t testing.TB) *Library {
	t.Helper()
	lib, err := library()
	if err != nil {
		t.Fatal(err)
	}
	return lib
}

// scriptsUnder returns the scripts of a directory of testdata.
func scriptsUnder(t testing.TB, dir string) []string {
	t.Helper()
	var found []string
	err := fs.WalkDir(os.DirFS("testdata"), dir, func(file string, _ fs.DirEntry, err error) error {
		if path.Ext(file) == ".test" {
			found = append(found, file)
		}
		return err
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("no scripts in testdata/%s: %v", dir, err)
	}
	return found
}

// golden compares got with a file, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, []byte(got)) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

func TestScriptsComeOutAsTheyExpect(t *testing.T) {
	for _, file := range scriptsUnder(t, "rules") {
		script, err := Load(os.DirFS("testdata"), file, testLibrary(t))
		if err != nil {
			t.Error(err)
			continue
		}
		failures, err := script.Play(context.Background())
		if err != nil {
			t.Error(err)
		}
		for _, f := range failures {
			t.Error(f)
		}
	}
}

// The examples are those blocks that begin with a rule statement.
func TestTheExamplesOfTheDocumentationComeOut(t *testing.T) {
	rs, err := rules.LoadFS(rulesets.FS, ".", rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../docs/SCRIPTS.md")
	if err != nil {
		t.Fatal(err)
	}
	played := 0
	for i, block := range strings.Split(string(doc), "```") {
		if i%2 == 0 || !strings.HasPrefix(block, "\nrule ") {
			continue
		}
		played++
		script, err := Parse(rulesets.FS, "docs/SCRIPTS.md", []byte(block), &Library{Rules: rs})
		if err != nil {
			t.Error(err)
			continue
		}
		failures, err := script.Play(context.Background())
		if err != nil {
			t.Error(err)
		}
		for _, f := range failures {
			t.Error(f)
		}
	}
	if played < 2 {
		t.Errorf("%d examples found, must be at least 2", played)
	}
}

func TestWhatFailsIsShownWithWhatCameInstead(t *testing.T) {
	for _, file := range scriptsUnder(t, "failures") {
		script, err := Load(os.DirFS("testdata"), file, testLibrary(t))
		if err != nil {
			t.Error(err)
			continue
		}
		var out strings.Builder
		failures, err := script.Play(context.Background())
		for _, f := range failures {
			out.WriteString(f.Error() + "\n")
		}
		if err != nil {
			out.WriteString(err.Error() + "\n")
		}
		golden(t, goldenOf(file), out.String())
	}
}

func TestFaultsOfAScriptPointToTheirPlace(t *testing.T) {
	for _, file := range scriptsUnder(t, "errors") {
		_, err := Load(os.DirFS("testdata"), file, testLibrary(t))
		if err == nil {
			t.Errorf("%s: no fault found", file)
			continue
		}
		golden(t, goldenOf(file), err.Error()+"\n")
	}
}

func goldenOf(file string) string {
	return filepath.Join("testdata", filepath.FromSlash(strings.TrimSuffix(file, ".test")+".golden"))
}

func TestAStoryThatDependsOnHowItIsPlayedFails(t *testing.T) {
	script, err := Load(os.DirFS("testdata"), "rules/shop/many_accounts.test", testLibrary(t))
	if err != nil {
		t.Fatal(err)
	}
	decision := func(ip string, accounts float64) event.Decision {
		return event.Decision{
			Step: event.New, Rule: "shop.many_accounts", Would: event.Block, Time: firstDay, Until: firstDay,
			Target:   event.Target{{Field: "ip", Text: ip}},
			Evidence: []event.Measure{{Name: "accounts", Value: accounts}},
		}
	}
	written := []event.Decision{decision("192.0.2.1", 5), decision("192.0.2.2", 5)}
	st := script.stories[0]
	if f := st.disagreement(&ways[1], written, []event.Decision{written[1], written[0]}); f != nil {
		t.Errorf("the same decisions in another order: %v", f)
	}
	f := st.disagreement(&ways[1], written, []event.Decision{decision("192.0.2.1", 6)})
	if f == nil {
		t.Fatal("other decisions were not noticed")
	}
	golden(t, filepath.Join("testdata", "disagreement.golden"), f.Error()+"\n")
}

func TestACancelledScriptSaysSo(t *testing.T) {
	script, err := Load(os.DirFS("testdata"), "rules/shop/many_accounts.test", testLibrary(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := script.Play(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
}
