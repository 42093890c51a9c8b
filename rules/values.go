package rules

import (
	"slices"
	"strings"

	"weir/event"
)

// scalar reads a value that is one text.
func (r *reader) scalar(it *item, key string) (string, bool) {
	if it.kind != isScalar {
		r.fail(it.off, key, "is %s, must be a value", it.kind)
		return "", false
	}
	if strings.TrimSpace(it.text) == "" {
		r.fail(it.off, key, "is empty")
		return "", false
	}
	return it.text, true
}

// word reads a value that is one of a few.
func (r *reader) word(it *item, key, what string, from []string) (string, bool) {
	s, ok := r.scalar(it, key)
	if ok && !slices.Contains(from, s) {
		r.fail(it.off, key, "unknown %s %s%s; there are %s", what, s, didYouMean(s, from), among(from))
		return "", false
	}
	return s, ok
}

// elements returns the elements of a list; a single value is a list of one.
func elements(it *item) []*item {
	if it.kind == isList {
		return it.list
	}
	return []*item{it}
}

// texts reads a list of texts.
func (r *reader) texts(it *item, key string) []string {
	var s []string
	for _, e := range elements(it) {
		if t, ok := r.scalar(e, key); ok {
			s = append(s, t)
		}
	}
	return s
}

// fields reads the fields of a key or target, ascending.
func (r *reader) fields(it *item, key string) []event.Field {
	if it.kind == isList && len(it.list) == 0 {
		r.fail(it.off, key, "is empty, must name a field")
	}
	var fs []event.Field
	for _, e := range elements(it) {
		name, ok := r.scalar(e, key)
		if !ok {
			continue
		}
		f := event.FieldByName(name)
		if extra, isExtra := strings.CutPrefix(name, "x."); isExtra {
			f = r.opt.Extras.Field(extra)
		}
		switch {
		case f == event.NoField:
			r.fail(e.off, key, "unknown field %s%s", name, fieldHint(name, r.opt.Extras))
		case !f.Keyable():
			r.fail(e.off, key, "%s cannot be part of a key (nor can time, bytes, duration, id)", name)
		case contains(fs, f):
			r.fail(e.off, key, "%s stands here a second time", name)
		default:
			fs = append(fs, f)
		}
	}
	if len(fs) > maxKey {
		r.fail(it.off, key, "%d fields, must be at most %d", len(fs), maxKey)
	}
	slices.Sort(fs)
	return fs
}

// expression returns a value as an expression.
func (r *reader) expression(it *item, key string) *phrase {
	if it.kind != isScalar {
		hint := ""
		if it.kind != isNull {
			hint = " (put the expression in quotes)"
		}
		r.fail(it.off, key, "is %s, must be an expression%s", it.kind, hint)
		return nil
	}
	return r.phrase(key, it)
}

func (r *reader) eventCond(it *item, key string) *EventCond {
	p := r.expression(it, key)
	if p == nil {
		return nil
	}
	c := &checker{phrase: p, opt: r.opt, spent: &r.spent}
	n := c.condition()
	if n == nil {
		return nil
	}
	return newEventCond(n)
}

// cond reads a condition on features; target says that it is an if.
func (r *reader) cond(it *item, key string, features []Feature, target bool) *Cond {
	p := r.expression(it, key)
	if p == nil {
		return nil
	}
	s := &scope{features: features, target: target}
	c := &checker{phrase: p, opt: r.opt, spent: &r.spent, feat: s}
	n := c.condition()
	if n == nil {
		return nil
	}
	return newCond(n, s)
}
