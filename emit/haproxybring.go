package emit

import (
	"bytes"
	"context"
	"slices"
)

// maxSingles is how many changes of a map are made one by one; more are one
// transaction. Deleting many entries one by one would stall HAProxy.
const maxSingles = 64

// bring makes the maps of a running HAProxy hold what they are to hold.
func (h *haproxyPoint) bring(ctx context.Context, s *haproxySocket, held map[*haproxyMap][]Entry) error {
	if len(h.caps.Endpoints) > 0 {
		body, err := s.show(ctx, h.maps.paths.file, maxEndpoints*4)
		if err == nil && !bytes.Equal(body, h.maps.paths.body) {
			err = s.replace(ctx, h.maps.paths.file, h.maps.paths.body)
		}
		if err != nil {
			return h.missing(err, h.maps.paths.file)
		}
	}
	for _, m := range h.maps.all {
		body, err := s.show(ctx, m.file, h.room())
		if err == nil {
			err = h.change(ctx, s, m, body, held[m])
		}
		if err != nil {
			return h.missing(err, m.file)
		}
	}
	return nil
}

// change turns a map that holds body into one that holds want.
func (h *haproxyPoint) change(ctx context.Context, s *haproxySocket, m *haproxyMap, body []byte, want []Entry) error {
	have, err := m.parse(body)
	if err != nil {
		h.log.Warn("the map holds what weir did not write, and is written anew", "map", m.file, "error", err)
		return s.replace(ctx, m.file, m.body(want))
	}
	commands, ok := m.commands(have, want)
	if !ok {
		return s.replace(ctx, m.file, m.body(want))
	}
	for _, c := range commands {
		if err := s.do(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// commands are the single changes between two maps; ok is false where they are
// many, or where an entry stands twice.
func (m *haproxyMap) commands(have, want []Entry) (commands [][]byte, ok bool) {
	slices.SortFunc(have, func(a, b Entry) int { return compareKeys(&a, &b) })
	command := func(verb string, e *Entry, value bool) {
		c := m.key(append([]byte(verb+" map "+m.file), ' '), e)
		if value {
			c = proxyValue(append(c, ' '), e, ':')
		}
		commands = append(commands, append(c, '\n'))
	}
	for i, j := 0, 0; i < len(have) || j < len(want); {
		order := 0
		switch {
		case i+1 < len(have) && compareKeys(&have[i], &have[i+1]) == 0:
			return nil, false
		case j == len(want):
			order = -1
		case i == len(have):
			order = 1
		default:
			order = compareKeys(&have[i], &want[j])
		}
		switch {
		case order < 0:
			command("del", &have[i], false)
			i++
		case order > 0:
			command("add", &want[j], true)
			j++
		default:
			if h, w := &have[i], &want[j]; h.ID != w.ID || h.To != w.To || !h.Until.Equal(w.Until) {
				command("set", w, true)
			}
			i, j = i+1, j+1
		}
		if len(commands) > maxSingles {
			return nil, false
		}
	}
	return commands, true
}
