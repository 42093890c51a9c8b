package replay

import (
	"slices"

	"weir/enrich"
	"weir/event"
)

// Credentials, sessions and consumers stand in decisions under pseudonyms. A
// script says them in the clear, and is shown them in the clear.

// hidden are the fields whose values are pseudonyms.
var hidden = []event.Field{event.FieldCredential, event.FieldSession, event.FieldConsumer}

// carried returns the values that stand for a script's value of a field in
// decisions.
func (s *stage) carried(f event.Field, text string) []string {
	switch {
	case f == event.FieldActor:
		return []string{s.pseudonym(event.FieldCredential, text), s.pseudonym(event.FieldSession, text), text}
	case slices.Contains(hidden, f):
		return []string{s.pseudonym(f, text)}
	case f == event.FieldIP:
		var ev event.Event
		if set(&ev, f, text) == "" {
			return []string{string(ev.AppendText(nil, f)), text}
		}
	}
	return []string{text}
}

// pseudonym returns what events carry for a hidden value: what enrich makes of it.
func (s *stage) pseudonym(f event.Field, text string) string {
	s.batch.Reset()
	ev := s.batch.Next()
	ev.SetText(f, text)
	s.enricher().Enrich(&s.batch)
	return string([]byte(s.batch.Events[0].Str(f)))
}

// enricher returns a worker for single events.
func (s *stage) enricher() *enrich.Worker {
	if s.worker == nil {
		s.worker = s.tables.Worker(enrich.Source{})
	}
	return s.worker
}

// plain returns a target's value as the script says it.
func (st *story) plain(s *stage, v event.Value) string {
	f := event.FieldByName(v.Field)
	if f != event.FieldActor && !slices.Contains(hidden, f) {
		return v.Text
	}
	if st.clear == nil {
		st.clear = map[string]string{}
		st.eachHidden(func(f event.Field, text string) { st.clear[s.pseudonym(f, text)] = text })
	}
	if text, ok := st.clear[v.Text]; ok {
		return text
	}
	return v.Text
}

// eachHidden calls f for every hidden value that the story sends.
func (st *story) eachHidden(f func(event.Field, string)) {
	for _, s := range st.sends {
		for i := range s.fields {
			a := &s.fields[i]
			if !slices.Contains(hidden, a.field) {
				continue
			}
			var b []byte
			for n := 1; n <= s.count; n++ {
				b = a.value.append(b[:0], int64(n))
				f(a.field, string(b))
			}
		}
	}
}
