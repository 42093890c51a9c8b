package main

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// errEdit is what a configuration is refused with that nobody but a person can
// change without harm.
var errEdit = errors.New("the file is written in a way that is not changed by a program")

// setStage returns a configuration's text with an entry of rules: set: that
// gives a pattern a stage, as set is to be then. Everything else stays as it
// is, letter by letter; what comes out is read again and held to that. Where at
// is not negative it is that entry of set that changes, else one is added.
func setStage(src []byte, set []stageSet, at int, pattern, stage string) ([]byte, error) {
	root, e, err := edit(src)
	if err != nil {
		return nil, err
	}
	want := slices.Clone(set)
	if at >= 0 {
		want[at].Stage = stage
	} else {
		want = append(want, stageSet{pattern, stage})
	}
	entry := fmt.Sprintf("{rule: %q, stage: %s}", pattern, stage)
	switch rules := member(root, "rules"); {
	case rules == nil:
		e.lines = append(e.lines, "rules: {set: ["+entry+"]}\n")
	case member(rules, "set") == nil:
		e.addMember(rules, "set: ["+entry+"]")
	case at >= 0:
		e.replace(member(rules, "set"), at, stage)
	default:
		e.addItem(member(rules, "set"), entry)
	}
	out := e.text()
	var was, is config
	err = errors.Join(yaml.UnmarshalWithOptions(src, &was, yaml.Strict()), yaml.UnmarshalWithOptions(out, &is, yaml.Strict()))
	was.Rules.Set = want
	if err != nil || !reflect.DeepEqual(was, is) {
		return nil, errEdit
	}
	return out, nil
}

// member returns the value of a mapping's key, nil where it has none.
func member(n ast.Node, key string) ast.Node {
	for _, v := range membersOf(n) {
		if v.Key.GetToken().Value == key {
			return v.Value
		}
	}
	return nil
}

func membersOf(n ast.Node) []*ast.MappingValueNode {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

// editor changes lines of a text at places that its syntax tree names.
type editor struct{ lines []string }

// edit begins to change a text of one document; root is nil where it says nothing.
func edit(src []byte) (root ast.Node, e *editor, err error) {
	file, err := parser.ParseBytes(src, parser.ParseComments)
	if err != nil || len(file.Docs) > 1 {
		return nil, nil, errEdit
	}
	e = &editor{lines: strings.SplitAfter(string(src), "\n")}
	if n := len(e.lines); e.lines[n-1] == "" {
		e.lines = e.lines[:n-1]
	} else {
		e.lines[n-1] += "\n"
	}
	if len(file.Docs) == 1 {
		root = file.Docs[0].Body
	}
	return root, e, nil
}

// text returns what became of it.
func (e *editor) text() []byte { return []byte(strings.Join(e.lines, "")) }

// insert puts text in front of a token.
func (e *editor) insert(at *token.Token, text string) {
	line, i, ok := e.place(at)
	if ok {
		e.lines[line] = e.lines[line][:i] + text + e.lines[line][i:]
	}
}

// place returns where a token begins; columns count characters.
func (e *editor) place(at *token.Token) (line, offset int, ok bool) {
	if at == nil || at.Position == nil {
		return 0, 0, false
	}
	line = at.Position.Line - 1
	if line < 0 || line >= len(e.lines) {
		return 0, 0, false
	}
	column := 1
	for i := range e.lines[line] {
		if column == at.Position.Column {
			return line, i, true
		}
		column++
	}
	return 0, 0, false
}

// below adds a line behind all of a node, indented to a column.
func (e *editor) below(n ast.Node, column int, text string) {
	last := 0
	ast.Walk(visitNode(func(n ast.Node) {
		if _, comment := n.(*ast.CommentGroupNode); !comment && n.GetToken() != nil && n.GetToken().Position != nil {
			last = max(last, n.GetToken().Position.Line)
		}
		switch n := n.(type) {
		case *ast.MappingNode:
			last = max(last, endLine(n.End))
		case *ast.SequenceNode:
			last = max(last, endLine(n.End))
		}
	}), n)
	if last > 0 && last <= len(e.lines) && column > 0 {
		e.lines = slices.Insert(e.lines, last, strings.Repeat(" ", column-1)+text+"\n")
	}
}

func endLine(t *token.Token) int {
	if t == nil || t.Position == nil {
		return 0
	}
	return t.Position.Line
}

type visitNode func(ast.Node)

// Visit is for ast.Walk.
func (v visitNode) Visit(n ast.Node) ast.Visitor {
	v(n)
	return v
}

// addMember adds a member to a mapping.
func (e *editor) addMember(n ast.Node, text string) {
	all := membersOf(n)
	if m, ok := n.(*ast.MappingNode); ok && m.IsFlowStyle {
		if len(all) > 0 {
			text = ", " + text
		}
		e.insert(m.End, text)
		return
	}
	if len(all) > 0 {
		e.below(n, all[0].Key.GetToken().Position.Column, text)
	}
}

// addItem adds an item to a list.
func (e *editor) addItem(n ast.Node, text string) {
	s, ok := n.(*ast.SequenceNode)
	switch {
	case !ok:
	case s.IsFlowStyle && len(s.Values) > 0:
		e.insert(s.End, ", "+text)
	case s.IsFlowStyle:
		e.insert(s.End, text)
	default:
		e.below(n, s.Start.Position.Column, "- "+text)
	}
}

// replace gives an entry of set another stage.
func (e *editor) replace(n ast.Node, at int, stage string) {
	s, ok := n.(*ast.SequenceNode)
	if !ok || at >= len(s.Values) {
		return
	}
	v := member(s.Values[at], "stage")
	if v == nil {
		return
	}
	was := v.GetToken().Value
	line, i, ok := e.place(v.GetToken())
	if !ok {
		return
	}
	rest := e.lines[line][i:]
	for _, quote := range []string{"", `"`, "'"} {
		if strings.HasPrefix(rest, quote+was) {
			e.lines[line] = e.lines[line][:i] + quote + stage + rest[len(quote)+len(was):]
			return
		}
	}
}
