package enrich

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// document reads a YAML file strictly and collects its faults, each with the
// line that it is in.
type document struct {
	file   string
	lines  []string
	faults []error
}

// maxFaults is how many faults of one file are told.
const maxFaults = 50

// place is where in a file something stands, from 1.
type place struct{ line, column int }

func placeOf(n ast.Node) place { return placeOfToken(n.GetToken()) }

func placeOfToken(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{1, 1}
	}
	return place{t.Position.Line, t.Position.Column}
}

// fault notes what is wrong at a place.
func (d *document) fault(at place, format string, args ...any) {
	if len(d.faults) < maxFaults {
		d.faults = append(d.faults, d.at(at, fmt.Sprintf(format, args...)))
	}
}

// at makes an error that points.
func (d *document) at(at place, what string) error {
	var line string
	if at.line >= 1 && at.line <= len(d.lines) {
		line = strings.ReplaceAll(strings.TrimRight(d.lines[at.line-1], "\r"), "\t", " ")
	}
	column := min(max(at.column, 1), len(line)+1)
	cut := len(line) - len(strings.TrimLeft(line, " "))
	cut = min(cut, column-1)
	return fmt.Errorf("%s:%d:%d: %s\n | %s\n | %s^", d.file, at.line, at.column, what, line[cut:], strings.Repeat(" ", column-1-cut))
}

// parse returns the file's one mapping; nil with faults, or for an empty file.
func (d *document) parse(src []byte) []*ast.MappingValueNode {
	f, err := parser.ParseBytes(src, 0)
	if err != nil {
		var pos interface{ GetToken() *token.Token }
		at := place{1, 1}
		if errors.As(err, &pos) {
			at = placeOfToken(pos.GetToken())
		}
		var said interface{ GetMessage() string }
		what := err.Error()
		if errors.As(err, &said) {
			what = said.GetMessage()
		}
		d.fault(at, "%s", what)
		return nil
	}
	if len(f.Docs) > 1 {
		d.fault(placeOfToken(f.Docs[1].Start), "a second document, must be one")
		return nil
	}
	if len(f.Docs) == 0 || f.Docs[0].Body == nil {
		return nil
	}
	if _, ok := f.Docs[0].Body.(*ast.CommentGroupNode); ok {
		return nil
	}
	return d.mapping("the file", f.Docs[0].Body)
}

// mapping returns the members of a mapping.
func (d *document) mapping(what string, n ast.Node) []*ast.MappingValueNode {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}
	}
	d.fault(placeOf(n), "%s: %s, must be a mapping", what, typeOf(n))
	return nil
}

func typeOf(n ast.Node) string { return strings.ToLower(n.Type().String()) }

// members calls a function for each member of a mapping by its key; keys
// without a function are faults, and so are repeated ones.
func (d *document) members(what string, values []*ast.MappingValueNode, known map[string]func(n ast.Node)) map[string]place {
	seen := map[string]place{}
	for _, v := range values {
		at := placeOf(v.Key)
		name := v.Key.GetToken().Value
		if _, ok := v.Key.(*ast.StringNode); !ok {
			d.fault(at, "%s: key %s, must be a plain name", what, name)
			continue
		}
		read, ok := known[name]
		if !ok {
			d.fault(at, "%s: unknown key %s%s", what, name, hint(name, keysOf(known)))
			continue
		}
		if first, again := seen[name]; again {
			d.fault(at, "%s: key %s again, it stands in line %d already", what, name, first.line)
			continue
		}
		seen[name] = at
		read(v.Value)
	}
	return seen
}

// list returns the entries of a sequence.
func (d *document) list(what string, n ast.Node) []ast.Node {
	if s, ok := n.(*ast.SequenceNode); ok {
		return s.Values
	}
	d.fault(placeOf(n), "%s: %s, must be a list", what, typeOf(n))
	return nil
}

// text returns a scalar as it is written.
func (d *document) text(what string, n ast.Node) string {
	switch s := n.(type) {
	case *ast.StringNode:
		return s.Value
	case *ast.LiteralNode:
		return s.Value.Value
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value
	}
	d.fault(placeOf(n), "%s: %s, must be text", what, typeOf(n))
	return ""
}

// truth returns a boolean.
func (d *document) truth(what string, n ast.Node) bool {
	if b, ok := n.(*ast.BoolNode); ok {
		return b.Value
	}
	d.fault(placeOf(n), "%s: %s, must be true or false", what, n.GetToken().Value)
	return false
}

// texts returns a list of scalars.
func (d *document) texts(what string, n ast.Node) (out []string) {
	for _, e := range d.list(what, n) {
		out = append(out, d.text(what, e))
	}
	return out
}
