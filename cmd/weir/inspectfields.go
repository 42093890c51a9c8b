package main

import (
	"weir/event"
)

// maxDistinct is up to where the different values of a field are counted.
const maxDistinct = 10_000

// fieldTally counts how much of each field is filled.
type fieldTally struct {
	key     *event.Key
	extras  event.Extras
	fields  [event.NumFields]oneField
	scratch []byte
}

type oneField struct {
	filled  int64
	values  hashSet
	example string
}

func newFieldTally(key *event.Key, extras event.Extras) *fieldTally {
	return &fieldTally{key: key, extras: extras}
}

// add counts the fields of an event and returns which are filled, as bits
// 1<<field.
func (t *fieldTally) add(ev *event.Event) (filled uint64) {
	for f := event.FieldTime; int(f) < event.NumFields; f++ {
		one := &t.fields[f]
		var hash uint64
		if text, ok := ev.Text(f); ok {
			if text == "" {
				continue
			}
			one.filled++
			filled |= 1 << f
			if one.values.full {
				continue
			}
			hash = t.key.HashString(text)
		} else {
			switch f {
			case event.FieldTime:
				one.filled++
				filled |= 1 << f
				continue
			case event.FieldDeprecated:
				if !ev.Deprecated {
					continue
				}
			}
			if f == event.FieldIP || f == event.FieldNet {
				t.scratch = ev.AppendValue(t.scratch[:0], f)
			} else {
				t.scratch = ev.AppendText(t.scratch[:0], f)
			}
			if len(t.scratch) == 0 {
				continue
			}
			one.filled++
			filled |= 1 << f
			if one.values.full {
				continue
			}
			hash = t.key.Hash(t.scratch)
		}
		if one.example == "" {
			one.example = string(ev.AppendText(nil, f))
		}
		one.values.add(hash)
	}
	return filled
}

// filledMask returns the fields that some event has.
func (t *fieldTally) filledMask() (mask uint64) {
	for f := range t.fields {
		if t.fields[f].filled > 0 {
			mask |= 1 << f
		}
	}
	return mask
}

// hashSet is a set of up to maxDistinct hashes.
type hashSet struct {
	slots []uint64
	n     int
	full  bool // there are more
}

func (s *hashSet) add(h uint64) {
	if s.full {
		return
	}
	if h == 0 {
		h = 1 // marks a free slot
	}
	if 2*s.n >= len(s.slots) {
		s.grow()
	}
	mask := uint64(len(s.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch s.slots[i] {
		case h:
			return
		case 0:
			if s.n == maxDistinct {
				s.full, s.slots = true, nil
				return
			}
			s.slots[i] = h
			s.n++
			return
		}
	}
}

func (s *hashSet) grow() {
	old := s.slots
	s.slots = make([]uint64, max(64, 2*len(old)))
	mask := uint64(len(s.slots) - 1)
	for _, h := range old {
		if h == 0 {
			continue
		}
		i := h & mask
		for s.slots[i] != 0 {
			i = (i + 1) & mask
		}
		s.slots[i] = h
	}
}

// fieldFacts is what is known of a field that some event has.
type fieldFacts struct {
	Name    string  `json:"name"`
	Filled  float64 `json:"filled"`             // share of the events
	Values  int     `json:"values,omitempty"`   // different ones
	More    bool    `json:"and_more,omitempty"` // than Values
	Example string  `json:"example"`
}

// missingField is a field that no event has.
type missingField struct {
	Name   string `json:"name"`
	Advice string `json:"advice,omitempty"`
}

// advice says how a field that is missing can be had.
var advice = map[event.Field]string{
	event.FieldCredential: "log the account that a log-in names and map it: fields: {credential: username}",
	event.FieldSession:    "log the session cookie and map it: fields: {session: NAME}",
	event.FieldConsumer:   "for APIs: log the API key and map it: fields: {consumer: NAME}",
	event.FieldASN:        "give weir an ASN table: enrich: {asn: asn.mmdb}",
	event.FieldJA4:        "log the TLS fingerprint: fields: {ja4: NAME}; without it fingerprints are soft",
	event.FieldLanguage:   "log Accept-Language: it makes fingerprints tell more clients apart",
	event.FieldAgent:      "log User-Agent: without it there are hardly any fingerprints",
	event.FieldReferer:    "log Referer",
	event.FieldSite:       "log the host, where one log is of several sites",
	event.FieldCrawler:    "give weir published crawler ranges: enrich: {crawlers: [ranges/]}",
	event.FieldOutcome:    "say in a site file which answers are failures, see below",
	event.FieldIP:         "no line has the client's address: nothing can be blocked by address",
}

// result returns the fields that are there and those that are not.
func (t *fieldTally) result(events int64, cfg *config) (there []fieldFacts, missing []missingField) {
	for f := event.FieldTime; int(f) < event.NumFields; f++ {
		one := &t.fields[f]
		name := t.extras.Name(f)
		if one.filled > 0 {
			facts := fieldFacts{Name: name, Filled: float64(one.filled) / float64(events), Example: one.example}
			if f.Keyable() || f == event.FieldID {
				facts.Values, facts.More = one.values.n, one.values.full
			}
			there = append(there, facts)
			continue
		}
		if int(f) >= int(event.FieldX0)+len(t.extras) || f == event.FieldDeprecated || f == event.FieldRefused {
			continue // nobody asked for it; no site has to have any
		}
		m := missingField{Name: name, Advice: advice[f]}
		switch {
		case f == event.FieldASN && cfg.Enrich.ASN != "", f == event.FieldCrawler && len(cfg.Enrich.Crawlers) > 0:
			m.Advice = "" // there is a table, in which nothing of this log stands
		case f == event.FieldJA4 && t.fields[event.FieldJA3].filled > 0:
			m.Advice = ""
		}
		missing = append(missing, m)
	}
	return there, missing
}
