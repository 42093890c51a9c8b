package rules

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
)

// The language's own functions are all off: a call is a call by name, which
// the checker knows or refuses.
var ownNames = func() map[string]*builtin.Function {
	m := map[string]*builtin.Function{}
	for _, f := range builtin.Builtins {
		m[f.Name] = f
	}
	for _, name := range []string{
		"all", "none", "any", "one", "filter", "map", "count", "sum", "find", "findIndex", "findLast",
		"findLastIndex", "groupBy", "sortBy", "reduce",
	} {
		m[name] = &builtin.Function{Name: name}
	}
	return m
}()

// syntax parses an expression. Its length is limited before the parser sees
// it, since the parser recurses as deep as the text nests. What is wrong with
// it is reported to p; then the result is nil.
func (p *phrase) syntax(nodes *int) ast.Node {
	if len(p.text) > MaxSource {
		p.fail(0, "%d bytes, must be at most %d", len(p.text), MaxSource)
		return nil
	}
	if !utf8.ValidString(p.text) {
		p.fail(0, "not valid UTF-8")
		return nil
	}
	if strings.TrimSpace(p.text) == "" {
		p.fail(0, "is empty, must be a condition")
		return nil
	}
	c := conf.CreateNew()
	c.Functions = ownNames
	c.DisableIfOperator = true
	c.MaxNodes = MaxNodes
	tree, err := parser.ParseWithConfig(p.text, c)
	if err != nil {
		p.syntaxError(err)
		return nil
	}
	n := 0
	ast.Walk(&tree.Node, counter{&n})
	if *nodes += n; *nodes > MaxNodes {
		p.fail(0, "the rule's expressions have more than %d parts", MaxNodes)
		return nil
	}
	return tree.Node
}

// wordAt returns the letters and digits of text that end at character n.
func wordAt(text string, n int) string {
	r := []rune(text)
	end := min(n+1, len(r))
	start := end
	for start > 0 && (r[start-1] >= '0' && r[start-1] <= '9' || r[start-1] >= 'a' && r[start-1] <= 'z') {
		start--
	}
	return string(r[start:end])
}

type counter struct{ n *int }

func (c counter) Visit(*ast.Node) { *c.n++ }

// syntaxError words what the parser found.
func (p *phrase) syntaxError(err error) {
	if at, hint := syntaxHint(p.text); hint != "" {
		p.fail(at, "%s", hint)
		return
	}
	at, message := 0, err.Error()
	if e := new(file.Error); errors.As(err, &e) {
		at, message = e.From, e.Message
	}
	switch {
	case strings.HasPrefix(message, "unexpected token EOF"), strings.HasPrefix(message, "unexpected end of expression"):
		at, message = utf8.RuneCountInString(p.text), "the expression ends too early"
	case strings.HasPrefix(message, "unexpected token "):
		what := strings.TrimPrefix(message, "unexpected token ")
		if _, q, ok := strings.Cut(what, "("); ok {
			what = strings.TrimSuffix(q, ")")
		}
		message = "unexpected " + what
	case strings.HasPrefix(message, "bad number syntax: "):
		message = strings.TrimPrefix(message, "bad number syntax: ") + " is not a number"
		if word := wordAt(p.text, at); slices.Contains(windowNames, word) {
			at, message = at-len(word)+1, "a window stands in quotes (write "+quote(word)+")"
		}
	case message == "literal not terminated":
		message = "a text that does not end (the closing quote is missing)"
	case strings.Contains(message, "exceeds maximum allowed nodes"):
		at, message = 0, "the rule's expressions have more than "+itoa(MaxNodes)+" parts"
	}
	if p.cut {
		message += `; YAML reads what follows " #" as a comment (put the whole expression in quotes)`
	}
	p.fail(at, "%s", message)
}
