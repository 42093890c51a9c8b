package ingest

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rotation is what a file's name says about its place in a log.
type rotation struct {
	stem   string // the name of the log itself, without directory
	date   string // when it was put aside, as digits YYYYMM[DD[hh[mm[ss]]]]; "" without
	number int    // access.log.2; 0 without
}

// groupRotations puts the rotations of one log together, oldest first. Files
// belong together if they lie in one directory and their names differ only in
// a number at the end, higher being older (access.log.2), or in a date
// (access.log-20260101, access-2026-01-01.log, access.log-1767225600), later
// being newer; the name without either is the newest. A number in the middle
// (node.2.log) says nothing about age: such files stay apart, as does
// everything else. The order of the logs is that of the parts.
func groupRotations(parts []*filePart) ([]*fileLog, error) {
	type member struct {
		*filePart
		rotation
	}
	groups := make(map[string][]member)
	var order []string
	for _, p := range parts {
		m := member{p, rotation{stem: p.path}}
		group := "stream\x00" + p.path
		if p.stream == nil {
			m.rotation = parseRotation(filepath.Base(p.path))
			group = filepath.Join(filepath.Dir(p.path), m.stem)
		}
		if groups[group] == nil {
			order = append(order, group)
		}
		groups[group] = append(groups[group], m)
	}
	var logs []*fileLog
	for _, group := range order {
		ms := groups[group]
		slices.SortStableFunc(ms, func(a, b member) int { return compareAge(a.rotation, b.rotation) })
		l := &fileLog{}
		for i, m := range ms {
			if i > 0 && compareAge(ms[i-1].rotation, m.rotation) == 0 {
				return nil, fmt.Errorf("%s and %s: the same rotation twice; name one of them", ms[i-1].path, m.path)
			}
			l.parts = append(l.parts, m.filePart)
		}
		logs = append(logs, l)
	}
	return logs, nil
}

// compareAge orders rotations of one log, oldest first: dated ones, then
// numbered ones, then the log itself. Parts of one day count upwards.
func compareAge(a, b rotation) int {
	rank := func(r rotation) int {
		switch {
		case r.date != "":
			return 0
		case r.number > 0:
			return 1
		}
		return 2
	}
	if c := cmp.Compare(rank(a), rank(b)); c != 0 {
		return c
	}
	if a.date != "" {
		return cmp.Or(cmp.Compare(a.date, b.date), cmp.Compare(a.number, b.number))
	}
	return cmp.Compare(b.number, a.number)
}

// parseRotation takes a file name apart. The ending of a compressed file does
// not count.
func parseRotation(name string) rotation {
	for _, ext := range compressedNames {
		if s, ok := strings.CutSuffix(name, ext); ok && s != "" {
			name = s
			break
		}
	}
	number := 0
	rest := name
	if i := strings.LastIndexByte(name, '.'); i > 0 && i+1 < len(name) && len(name)-i <= 6 {
		if n, err := strconv.Atoi(name[i+1:]); err == nil && n > 0 && isDigits(name[i+1:]) {
			rest, number = name[:i], n
		}
	}
	if stem, date, ok := cutDate(name); ok { // access.log.20260101 is a date, not a number
		return rotation{stem: stem, date: date}
	}
	if stem, date, ok := cutDate(rest); ok {
		return rotation{stem: stem, date: date, number: number}
	}
	if number > 0 {
		return rotation{stem: rest, number: number}
	}
	if ext := filepath.Ext(name); ext != "" {
		if stem, date, ok := cutDate(strings.TrimSuffix(name, ext)); ok {
			return rotation{stem: stem + ext, date: date}
		}
	}
	return rotation{stem: name}
}

// cutDate takes a date off the end of s, together with what separates it. IIS
// writes it without a separator, as u_ex260101.
func cutDate(s string) (stem, date string, ok bool) {
	for i := 1; i < len(s)-1; i++ {
		switch s[i] {
		case '-', '.', '_':
			if d, ok := dateDigits(s[i+1:]); ok {
				return s[:i], d, true
			}
		}
	}
	if stem, found := cutPrefixed(s, "u_ex"); found {
		if d, ok := dateDigits("20" + stem); ok {
			return "u_ex", d, true
		}
	}
	return s, "", false
}

func cutPrefixed(s, prefix string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(s, prefix)
	return rest, ok && (len(rest) == 6 || len(rest) == 8) && isDigits(rest)
}

// dateDigits reads a date from 2000 to 2099, to the month, day, hour, minute,
// second or millisecond, with or without separators, or a Unix time, and
// returns its digits.
func dateDigits(s string) (digits string, ok bool) {
	if len(s) > 24 {
		return "", false
	}
	if len(s) == 10 && s[0] == '1' && isDigits(s) {
		sec, err := strconv.ParseInt(s, 10, 64)
		return time.Unix(sec, 0).UTC().Format("20060102150405"), err == nil
	}
	var b []byte
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			b = append(b, c)
		case strings.IndexByte("-_.:TZ", c) < 0 || i == 0:
			return "", false
		}
	}
	layout := "20060102150405"
	n := min(len(b), len(layout))
	switch len(b) {
	case 6, 8, 10, 12, 14, 17:
	default:
		return "", false
	}
	if _, err := time.Parse(layout[:n], string(b[:n])); err != nil || string(b[:2]) != "20" {
		return "", false
	}
	return string(b), true
}

func isDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}
