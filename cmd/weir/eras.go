package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/goccy/go-yaml"

	"weir/event"
	"weir/ingest"
	"weir/pipeline"
)

// era is a stretch of ticks that is decided by the same rules: it begins with a
// `config` mark of the journal.
type era struct {
	number int64
	from   int64  // the tick behind which it begins; of the first one it does not matter
	hash   string // of all that decides, see taken
}

// erasOf returns the eras of a journal, in their order.
func erasOf(marks []pipeline.Mark) (eras []era) {
	for _, m := range marks {
		if m.Event == pipeline.MarkConfig {
			eras = append(eras, era{number: m.Offset, from: m.Watermark, hash: m.First})
		}
	}
	slices.SortFunc(eras, func(a, b era) int { return cmp.Compare(a.number, b.number) })
	return eras
}

// idle reports whether nothing was decided in the era with an index: the next
// one began at the same tick.
func idle(eras []era, i int) bool { return i+1 < len(eras) && eras[i+1].from <= eras[i].from }

// maxConfigs is how many configurations are kept: those of the newest eras.
const maxConfigs = 256

// keptHashes returns whose copies are kept: those of the newest eras and of the
// ones with these numbers.
func keptHashes(eras []era, numbers ...int64) map[string]bool {
	kept := map[string]bool{}
	for i, e := range eras {
		if i >= len(eras)-maxConfigs || slices.Contains(numbers, e.number) {
			kept[e.hash] = true
		}
	}
	return kept
}

// forgetConfigs removes the copies that nobody needs any more, and what a crash
// left half made.
func forgetConfigs(state string, kept map[string]bool) error {
	dir := filepath.Join(state, configsDir)
	found, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, f := range found {
		if !kept[f.Name()] {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, f.Name())))
		}
	}
	if err != nil {
		return fmt.Errorf("state: copies of old rules: %w", err)
	}
	return nil
}

// keepConfig writes a copy of all that the engine was made of below a state's
// directory, so that what it decides can be decided again. One that is there and
// whole stays.
func (g *engine) keepConfig(state, hash string) error {
	var reached []reachedBy
	for i := range g.cfg.Sources {
		reached = append(reached, g.cfg.Sources[i].reached())
	}
	if err := g.taken.keep(filepath.Join(state, configsDir, hash), reached); err != nil {
		return fmt.Errorf("state: copy of the rules: %w", err)
	}
	return nil
}

// of returns the engine by which an era of a state was decided: this one, where
// it is of the same hash, or one made of the copy that was kept. Other names what
// is not as it was then, although the copy is whole. Without such a copy the
// error wraps errNoCopy.
func (g *engine) of(state string, era era, x event.Extras) (by *engine, other []string, err error) {
	if now, err := g.fingerprint(); err != nil || now == era.hash && slices.Equal(x, g.extras) {
		return g, nil, err
	}
	dir, err := filepath.Abs(filepath.Join(state, configsDir, era.hash))
	if err != nil {
		return nil, nil, fmt.Errorf("state: %w", err)
	}
	t, reached, err := readCopy(dir, era.hash)
	if err != nil {
		return nil, nil, err
	}
	c := t.config(g.cfg, reached)
	c.Enrich, other = t.tablesOf(g.cfg, dir)
	if t.said.Key != keyID(g.key) {
		other = append(other, "key_file (all pseudonyms and hashes are made with it)")
	}
	by, err = newEngine(c, t, g.key, x, g.guarded)
	if err != nil {
		return nil, nil, fmt.Errorf("state: copy of the rules in %s: %w", dir, err)
	}
	return by, other, nil
}

// withExtras returns the names of extra fields, and behind them those of more:
// what has a number keeps it.
func withExtras(x event.Extras, more ...string) (event.Extras, error) {
	x = slices.Clone(x)
	for _, name := range more {
		if x.Field(name) == event.NoField {
			x = append(x, name)
		}
	}
	if len(x) > event.MaxExtras {
		return nil, fmt.Errorf("the sources map %d extra fields (%v), with those that they mapped earlier; must be at most %d", len(x), x, event.MaxExtras)
	}
	return x, nil
}

// sourceNames returns names, and behind them those of sources that are not among
// them: a source keeps its number whatever comes and goes.
func sourceNames(names []string, sources []sourceConfig) []string {
	names = slices.Clone(names)
	for i := range sources {
		if !slices.Contains(names, sources[i].Name) {
			names = append(names, sources[i].Name)
		}
	}
	return names
}

// namesOf returns names of sources, and behind them those that eras brought, as
// far as there are copies.
func namesOf(state string, eras []era, names []string) []string {
	eachCopy(state, eras, func(t *taken) { names = sourceNames(names, t.said.Sources) })
	return names
}

// pacesOf returns how the clocks of sources went in eras that are over.
func pacesOf(state string, eras []era) map[string][]pipeline.Pace {
	found := map[string][]pipeline.Pace{}
	for i, e := range eras {
		if i+1 == len(eras) || idle(eras, i) {
			continue
		}
		t, _, err := readCopy(filepath.Join(state, configsDir, e.hash), e.hash)
		if err != nil {
			continue // who decides by it says that it is missing
		}
		for k := range t.said.Sources {
			s := &t.said.Sources[k]
			p := pipeline.Pace{Until: eras[i+1].from}
			var errs [2]error
			p.Disorder, errs[0] = durationOf("disorder", s.Disorder, defaultDisorder, pipeline.MaxDisorder)
			p.MaxLateness, errs[1] = durationOf("max_lateness", s.MaxLateness, defaultMaxLateness, pipeline.MaxLateness)
			if errors.Join(errs[:]...) == nil { // else that era could not have begun
				found[s.Name] = withPace(found[s.Name], p)
			}
		}
	}
	return found
}

// withPace appends a pace, or has the last one go on where they are alike.
func withPace(all []pipeline.Pace, p pipeline.Pace) []pipeline.Pace {
	if n := len(all); n > 0 && all[n-1].Disorder == p.Disorder && all[n-1].MaxLateness == p.MaxLateness {
		all[n-1].Until = p.Until
		return all
	}
	return append(all, p)
}

// keepPace has sources go by what they were configured as earlier.
func keepPace(sources []pipeline.Source, paces map[string][]pipeline.Pace) {
	for i := range sources {
		sources[i].Before = paces[sources[i].Name()]
	}
}

// extrasOf returns the names of the extra fields of all eras, in the order in
// which they came, and behind them those of now.
func extrasOf(state string, eras []era, now event.Extras) (x event.Extras, err error) {
	eachCopy(state, eras, func(t *taken) {
		if more, e := (&config{Sources: t.said.Sources}).extras(); err == nil && e == nil {
			x, err = withExtras(x, more...)
		}
	})
	if err != nil {
		return nil, err
	}
	return withExtras(x, now...)
}

// formatsFound returns the formats that the last era found for sources whose
// lines must tell them; nil: there are none.
func (c *config) formatsFound(state string, eras []era) (found map[string]ingest.Config) {
	if len(eras) == 0 {
		return nil
	}
	eachCopy(state, eras[len(eras)-1:], func(t *taken) {
		for i := range c.Sources {
			sc := &c.Sources[i]
			k := slices.IndexFunc(t.said.Sources, func(was sourceConfig) bool { return was.Name == sc.Name })
			if !sc.unknownFormat() || k < 0 || t.said.Sources[k].unknownFormat() || sc.Format != "" && t.said.Sources[k].Format != sc.Format {
				continue
			}
			if found == nil {
				found = map[string]ingest.Config{}
			}
			found[sc.Name] = t.said.Sources[k].Config
		}
	})
	return found
}

// formatsThatDiffer returns the sources that two eras in turn read in different
// formats.
func formatsThatDiffer(was, now *taken) (names []string) {
	before := map[string]string{}
	for i := range was.said.Sources {
		before[was.said.Sources[i].Name] = was.said.Sources[i].formatText()
	}
	for i := range now.said.Sources {
		s := &now.said.Sources[i]
		if text, ok := before[s.Name]; ok && text != s.formatText() {
			names = append(names, s.Name)
		}
	}
	return names
}

// formatText says how a source's lines are read.
func (s *sourceConfig) formatText() string {
	text, err := yaml.Marshal(s.Config)
	if err != nil {
		return err.Error() // it was read as YAML before
	}
	return string(text)
}

// eachCopy calls f for the copies of eras, in their order, each once.
func eachCopy(state string, eras []era, f func(*taken)) {
	seen := map[string]bool{}
	for _, e := range eras {
		if seen[e.hash] {
			continue
		}
		seen[e.hash] = true
		if t, _, err := readCopy(filepath.Join(state, configsDir, e.hash), e.hash); err == nil {
			f(t)
		}
	}
}
