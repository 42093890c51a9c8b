package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// imports is which packages of the module each package may import: those that
// lie below it. cmd/weir may import all.
var imports = map[string][]string{
	"event":                    {},
	"state":                    {"event", "internal/failpoint"},
	"windows":                  {"event", "state"},
	"ingest":                   {"event", "internal/broker", "internal/failpoint"},
	"enrich":                   {"event"},
	"emit":                     {"event", "internal/broker", "internal/failpoint", "internal/seal"},
	"archive":                  {"event", "ingest", "state", "internal/failpoint"},
	"rules":                    {"event", "windows", "state"},
	"pipeline":                 {"event", "ingest", "enrich", "windows", "rules", "emit", "state", "archive", "internal/failpoint", "internal/seal"},
	"replay":                   {"event", "ingest", "enrich", "rules", "pipeline"},
	"api":                      {"event", "emit", "pipeline", "state"},
	"rulesets":                 {},
	"simulate":                 {"event"},
	"simulate/score":           {"event", "ingest", "enrich", "emit", "simulate"},
	"internal/arch":            {},
	"internal/e2e":             {"event", "ingest", "enrich", "rules", "pipeline", "emit", "internal/broker"},
	"internal/broker":          {},
	"internal/torture":         {"event", "emit", "internal/broker"},
	"internal/failpoint":       {},
	"internal/seal":            {},
	"internal/proxytest":       {},
	"internal/kafkatest":       {},
	"internal/kafkatest/fetch": {"internal/kafkatest"},
	"internal/bench":           {"event", "ingest", "enrich", "windows", "rules", "pipeline", "archive", "state", "rulesets", "simulate", "internal/testkit"},
	"internal/testkit":         {"event", "ingest"},
	"internal/scoring":         {"simulate", "simulate/score"},
}

// free may import every package.
const free = "cmd/weir"

// forTests is what tests may import besides what their package may.
var forTests = []string{"internal/testkit", "internal/kafkatest", "internal/proxytest", "rulesets"}

// harnesses start real servers for tests; only tests import them, and the
// command that fetches what one of them needs.
var harnesses = []string{"internal/kafkatest", "internal/proxytest"}

// pure are the packages that run a unit: time is an argument there, and one
// goroutine at a time owns it.
var pure = []string{"windows", "rules"}

const module = "weir/"

// file is a parsed source file.
type file struct {
	pkg  string // its directory
	name string
	test bool
	set  *token.FileSet
	ast  *ast.File
}

func (f *file) at(p token.Pos) string {
	return f.name + ":" + strconv.Itoa(f.set.Position(p).Line)
}

// imported returns the paths that the file imports, with their places.
func (f *file) imported(t *testing.T) map[string]token.Pos {
	t.Helper()
	paths := map[string]token.Pos{}
	for _, spec := range f.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths[p] = spec.Pos()
	}
	return paths
}

// sources parses every Go file of the module below its root.
func sources(t *testing.T) (files []*file) {
	t.Helper()
	root := filepath.Join("..", "..")
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if base := entry.Name(); name != "." && (base[0] == '.' || base == "testdata" || base == "tools" || base == "bin") {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, filepath.Join(root, filepath.FromSlash(name)), nil, 0)
		if err != nil {
			return err
		}
		files = append(files, &file{
			pkg: filepath.ToSlash(filepath.Dir(name)), name: name, test: strings.HasSuffix(name, "_test.go"), set: set, ast: parsed,
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 100 {
		t.Fatalf("%d source files found, there must be more than 100", len(files))
	}
	return files
}

func TestPackagesImportOnlyWhatLiesBelowThem(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range sources(t) {
		seen[f.pkg] = true
		if f.pkg == free {
			continue
		}
		allowed, ok := imports[f.pkg]
		if !ok {
			t.Errorf("%s: package %s is missing from the table", f.name, f.pkg)
			continue
		}
		for p, pos := range f.imported(t) {
			below, ours := strings.CutPrefix(p, module)
			switch {
			case !ours || below == f.pkg || slices.Contains(allowed, below):
			case f.test && slices.Contains(forTests, below):
			default:
				t.Errorf("%s: %s must not import %s", f.at(pos), f.pkg, below)
			}
		}
	}
	for p := range maps.Keys(imports) {
		if !seen[p] {
			t.Errorf("the table has %s, which is no package", p)
		}
	}
}

func TestTheTableHasOneDirection(t *testing.T) {
	left := maps.Clone(imports)
	for n := len(left) + 1; n > len(left); {
		n = len(left)
		maps.DeleteFunc(left, func(_ string, below []string) bool {
			return !slices.ContainsFunc(below, func(b string) bool { _, waits := left[b]; return waits })
		})
	}
	if len(left) > 0 {
		t.Errorf("the table lets packages import each other in a circle: %v", slices.Sorted(maps.Keys(left)))
	}
}

func TestUnitsReadNoClockAndStartNothing(t *testing.T) {
	checked := 0
	for _, f := range sources(t) {
		if f.test || !slices.Contains(pure, f.pkg) {
			continue
		}
		checked++
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: a go statement in %s", f.at(n.Pos()), f.pkg)
			case *ast.SelectorExpr:
				x, ok := n.X.(*ast.Ident)
				if !ok {
					break
				}
				name := x.Name + "." + n.Sel.Name
				switch {
				case name == "time.Now", name == "time.Since", name == "time.Until", name == "time.After", name == "time.Tick", name == "time.Sleep":
					t.Errorf("%s: %s in %s, where time is an argument", f.at(n.Pos()), name, f.pkg)
				case name == "sync.Pool": // shares scratch memory, no state
				case x.Name == "sync", x.Name == "atomic":
					t.Errorf("%s: %s in %s, where one goroutine at a time owns a unit", f.at(n.Pos()), name, f.pkg)
				}
			}
			return true
		})
	}
	if checked < 30 {
		t.Fatalf("%d files checked, there must be more than 30", checked)
	}
}

// Whatever a package's tests start has ended with them.
func TestEveryPackageWithTestsLooksForGoroutinesThatStay(t *testing.T) {
	looks := map[string]bool{}
	for _, f := range sources(t) {
		if !f.test {
			continue
		}
		if _, ok := looks[f.pkg]; !ok {
			looks[f.pkg] = false // each has an entry
		}
		for _, d := range f.ast.Decls {
			if main, ok := d.(*ast.FuncDecl); ok && main.Recv == nil && main.Name.Name == "TestMain" {
				ast.Inspect(main, func(n ast.Node) bool {
					if s, ok := n.(*ast.SelectorExpr); ok {
						if x, ok := s.X.(*ast.Ident); ok && x.Name == "goleak" && (s.Sel.Name == "VerifyTestMain" || s.Sel.Name == "Find") {
							looks[f.pkg] = true
						}
					}
					return true
				})
			}
		}
	}
	if len(looks) < 20 {
		t.Fatalf("%d packages have tests, there must be more", len(looks))
	}
	for pkg, ok := range looks {
		if !ok {
			t.Errorf("%s: its tests have no TestMain with goleak.VerifyTestMain", pkg)
		}
	}
}

func TestOnlyTestsImportTesting(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || slices.Contains(harnesses, f.pkg) {
			continue
		}
		for p, pos := range f.imported(t) {
			if p == "testing" || strings.HasPrefix(p, "testing/") {
				t.Errorf("%s: imports %s outside a test", f.at(pos), p)
			}
		}
	}
}
