package rules

import (
	"weir/event"
	"weir/windows"
)

// sourceFields are those whose values come and go: a key of one has no past of
// its own that says what is usual.
var sourceFields = []event.Field{event.FieldIP, event.FieldCredential, event.FieldSession, event.FieldFingerprint, event.FieldActor}

// surges refuses surge where it would say nothing: of keys of fields that come
// and go, and of windows that are too long to have a past.
func (r *reader) surges(as []Aggregate, key []event.Field, off int, where string) {
	for i := range as {
		if as[i].Func != Surge {
			continue
		}
		if as[i].Window > windows.MaxSurge {
			r.fail(off, where, "surge(%s): the window must be at most %s: it is held against the seven days before",
				quote(windowName(as[i].Window)), windowName(windows.MaxSurge))
		}
		for _, f := range key {
			if contains(sourceFields, f) {
				r.fail(off, where, "surge is not for a key with %s: most of its values are new and have no past to be held against "+
					"(count what is usual of an endpoint, a site or a consumer)", f)
				break
			}
		}
	}
}

// surgesOf checks all aggregates of a rule but those of its ladder.
func (r *reader) surgesOf(rule *Rule, have map[string]*item) {
	if it := have["features"]; it != nil && it.kind == isMap {
		for _, f := range rule.Features {
			for _, p := range it.pairs {
				if p.key.text == f.Name {
					r.surges([]Aggregate{f.Aggregate}, rule.Key, p.value.off, "features."+f.Name)
				}
			}
		}
	}
	if it := have["when"]; it != nil && rule.When != nil {
		r.surges(rule.When.Inline, rule.Key, it.off, "when")
	}
}
