package rules

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// item is a value of a rule file: a scalar, a list or a map. It is all of YAML
// that rules use; anchors, aliases, merge keys, tags, directives and several
// documents are refused.
type item struct {
	kind  itemKind
	off   int    // where it begins in the document
	text  string // of a scalar
	style style
	list  []*item
	pairs []pair
}

type pair struct{ key, value *item }

type itemKind uint8

const (
	isNull itemKind = iota
	isScalar
	isList
	isMap
)

func (k itemKind) String() string { return [...]string{"empty", "a value", "a list", "a map"}[k] }

// style is how a scalar is written.
type style uint8

const (
	plain style = iota
	singleQuoted
	doubleQuoted
	block
)

// maxYAMLDepth is how deep a rule file may nest.
const maxYAMLDepth = 8

// parseYAML reads the document, or reports what is wrong with it and returns nil.
func (d *document) parseYAML() *item {
	if !utf8.ValidString(d.src) {
		at := 0
		for at < len(d.src) {
			r, n := utf8.DecodeRuneInString(d.src[at:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			at += n
		}
		d.fail(at, "", "not valid UTF-8")
		return nil
	}
	for i := range d.starts {
		line := d.line(i + 1)
		if tab := strings.IndexByte(line, '\t'); tab >= 0 && strings.Trim(line[:tab], " ") == "" && strings.TrimSpace(line) != "" {
			d.fail(d.starts[i]+tab, "", "a tab in the indentation, which YAML does not allow (use spaces)")
		}
	}
	if len(d.faults) > 0 {
		return nil
	}
	tokens := lexer.Tokenize(d.src)
	if len(tokens) == 0 {
		d.fail(0, "", "is empty, must be a rule")
		return nil
	}
	d.refuse(tokens)
	if len(d.faults) > 0 {
		return nil
	}
	f, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		at := 0
		var syntax interface {
			GetToken() *token.Token
			GetMessage() string
		}
		message := err.Error()
		if errors.As(err, &syntax) {
			message = syntax.GetMessage()
			if t := syntax.GetToken(); t != nil && t.Position != nil {
				at = d.offset(t.Position.Line, t.Position.Column)
			}
		}
		d.fail(at, "", "not valid YAML: %s", message)
		return nil
	}
	var body ast.Node
	for _, doc := range f.Docs {
		if doc.Body != nil {
			body = doc.Body
		}
	}
	if body == nil {
		d.fail(0, "", "is empty, must be a rule")
		return nil
	}
	root := d.item(body, 0)
	if len(d.faults) > 0 {
		return nil
	}
	if root.kind != isMap {
		d.fail(root.off, "", "must be a map with the keys of a rule, is %s", root.kind)
		return nil
	}
	return root
}

// refuse reports what rules do not use of YAML.
func (d *document) refuse(tokens token.Tokens) {
	documents, content := 0, false
	for _, t := range tokens {
		at := 0
		if t.Position != nil {
			at = d.offset(t.Position.Line, max(1, t.Position.Column))
		}
		switch t.Type {
		case token.AnchorType:
			d.fail(at, "", "anchors (&) are not available in rules (quote a text that begins with &)")
		case token.AliasType:
			d.fail(at, "", "aliases (*) are not available in rules (quote a text that begins with *)")
		case token.MergeKeyType:
			d.fail(at, "", "merge keys (<<) are not available in rules")
		case token.TagType:
			d.fail(at, "", "! begins a tag in YAML (put the expression in quotes, or write not)")
		case token.DirectiveType:
			d.fail(at, "", "directives (%%) are not available in rules")
		case token.DocumentHeaderType:
			if content || documents > 0 {
				d.fail(at, "", "a second document: one rule a file")
			}
			documents++
		case token.DocumentEndType, token.CommentType:
		default:
			content = true
		}
	}
}

// item converts a node, and reports what rules do not use.
func (d *document) item(n ast.Node, depth int) *item {
	it := &item{}
	if t := n.GetToken(); t != nil && t.Position != nil {
		it.off = d.offset(t.Position.Line, t.Position.Column)
	}
	if depth > maxYAMLDepth {
		d.fail(it.off, "", "nested deeper than %d", maxYAMLDepth)
		return it
	}
	switch n := n.(type) {
	case *ast.NullNode:
		if n.Token != nil {
			it.style = plain
		}
	case *ast.StringNode:
		it.kind, it.text = isScalar, n.Value
		switch n.Token.Type {
		case token.SingleQuoteType:
			it.style = singleQuoted
		case token.DoubleQuoteType:
			it.style = doubleQuoted
		}
		it.off = d.locate(it)
	case *ast.LiteralNode:
		it.kind, it.style, it.text = isScalar, block, n.Value.Value
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		it.kind, it.text = isScalar, n.GetToken().Value
	case *ast.SequenceNode:
		it.kind = isList
		for _, v := range n.Values {
			it.list = append(it.list, d.item(v, depth+1))
		}
	case *ast.MappingNode:
		it.kind = isMap
		for _, v := range n.Values {
			d.pair(it, v, depth)
		}
	case *ast.MappingValueNode:
		it.kind = isMap
		d.pair(it, n, depth)
	default:
		d.fail(it.off, "", "this form of YAML is not available in rules")
	}
	if it.kind == isMap && len(it.pairs) > 0 && it.off > it.pairs[0].key.off {
		it.off = it.pairs[0].key.off // goccy gives a block map the place of its first colon
	}
	return it
}

func (d *document) pair(it *item, v *ast.MappingValueNode, depth int) {
	key := d.item(v.Key, depth+1)
	if key.kind != isScalar {
		d.fail(key.off, "", "a key must be a name")
		return
	}
	value := &item{off: key.off}
	if v.Value != nil {
		value = d.item(v.Value, depth+1)
		if value.kind == isNull {
			value.off = key.off
		}
	}
	for _, p := range it.pairs {
		if p.key.text == key.text {
			line, _ := d.place(p.key.off)
			d.fail(key.off, "", "the key %s stands here a second time (the first is in line %d)", key.text, line)
			return
		}
	}
	it.pairs = append(it.pairs, pair{key, value})
}

// locate corrects the column of a scalar, which goccy can give a little late.
func (d *document) locate(it *item) int {
	first := ""
	switch it.style {
	case singleQuoted:
		first = "'"
	case doubleQuoted:
		first = `"`
	default:
		if it.text == "" {
			return it.off
		}
		_, n := utf8.DecodeRuneInString(it.text)
		first = it.text[:n]
	}
	line, _ := d.place(it.off)
	for off := it.off; off >= d.starts[line-1] && it.off-off < 4; off-- {
		if off < len(d.src) && strings.HasPrefix(d.src[off:], first) {
			return off
		}
	}
	return it.off
}

// phrase returns a scalar as an expression whose characters are known by their
// places in the file.
func (d *document) phrase(key string, it *item) *phrase {
	p := &phrase{doc: d, key: key, text: it.text, pos: make([]int, len(it.text)+1)}
	at := it.off
	switch it.style {
	case singleQuoted, doubleQuoted:
		at++
	case block: // the content begins in the next line
		for at < len(d.src) && d.src[at] != '\n' {
			at++
		}
		at++
	}
	end := at
	for i := 0; i < len(p.text); {
		_, size := utf8.DecodeRuneInString(p.text[i:])
		from, to := d.step(at, p.text[i:i+size], it.style)
		for ; size > 0; size-- {
			p.pos[i] = min(from, len(d.src))
			i++
		}
		at, end = to, to
	}
	p.pos[len(p.text)] = min(end, len(d.src))
	if it.style == plain {
		rest := d.src[p.pos[len(p.text)]:]
		if i := strings.IndexByte(rest, '\n'); i >= 0 {
			rest = rest[:i]
		}
		p.cut = strings.HasPrefix(strings.TrimLeft(rest, " "), "#")
	}
	return p
}

// step returns where in the source the character c of a scalar stands, at or
// behind at, and where what follows it begins.
func (d *document) step(at int, c string, s style) (from, to int) {
	if c == " " && at < len(d.src) && d.src[at] == '\n' { // a folded line
		from = at
		for at < len(d.src) && (d.src[at] == '\n' || d.src[at] == ' ') {
			at++
		}
		return from, at
	}
	for at < len(d.src) && !strings.HasPrefix(d.src[at:], c) && (d.src[at] == ' ' || d.src[at] == '\n' || d.src[at] == '\t') {
		at++
	}
	switch {
	case at >= len(d.src):
		return at, at
	case s == singleQuoted && c == "'":
		return at, at + 2
	case s == doubleQuoted && d.src[at] == '\\' && at+1 < len(d.src):
		length := map[byte]int{'x': 4, 'u': 6, 'U': 10}[d.src[at+1]]
		return at, at + max(2, length)
	case strings.HasPrefix(d.src[at:], c):
		return at, at + len(c)
	}
	return at, at
}
