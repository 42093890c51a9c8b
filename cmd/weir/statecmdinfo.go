package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"weir/event"
	"weir/pipeline"
	"weir/state"
	"weir/windows"
)

// stateInfo is what is in a state's directory.
type stateInfo struct {
	Dir        string          `json:"dir"`
	Checkpoint *stateAt        `json:"checkpoint"` // null: there is none
	Keys       int64           `json:"keys"`
	Bytes      int64           `json:"bytes"`
	Garbage    int64           `json:"garbage"`   // bytes that later checkpoints superseded, and that are not given back yet
	Oldest     time.Time       `json:"oldest"`    // the first event that a window may still hold; zero: there is none
	Tables     []stateTable    `json:"tables"`    // largest first
	Positions  []statePosition `json:"positions"` // by source and partition
	Files      []stateFile     `json:"files"`
	Damage     []string        `json:"damage,omitempty"`  // what is wrong with the store
	Refused    string          `json:"refused,omitempty"` // why a sound store cannot be used; it is not looked into
	Do         string          `json:"do,omitempty"`      // what to do about that
}

// stateAt is when the last checkpoint was made.
type stateAt struct {
	Tick    time.Time `json:"tick"`    // of the log
	Written time.Time `json:"written"` // by the wall clock
	Config  string    `json:"config"`  // which configuration it was decided by
}

// stateTable is what there is of one kind of keys.
type stateTable struct {
	Name  string `json:"name"`
	Keys  int64  `json:"keys"`
	Bytes int64  `json:"bytes"` // of its records, with what later ones supersede
}

// statePosition is from where on a partition would be read.
type statePosition struct {
	Source    string    `json:"source"`
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Watermark time.Time `json:"watermark"` // zero: there was no event
	Newest    time.Time `json:"newest"`    // the largest time seen
}

// stateFile is what one part of the directory takes.
type stateFile struct {
	What  string `json:"what"`
	Files int    `json:"files"`
	Bytes int64  `json:"bytes"`           // blocks on disk
	Aside string `json:"aside,omitempty"` // why it was put aside; it can be deleted
}

func (e *environment) stateInfo(ctx context.Context, o *stateOptions, args []string) (err error) {
	h, err := e.holdState(o, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.done()) }()
	key, err := h.loadKey()
	if err != nil {
		return err
	}
	in, err := lookInto(ctx, h.path, key)
	if err != nil {
		return err
	}
	if o.json {
		err = printJSON(e.out, in)
	} else {
		p := &page{w: e.out}
		printState(p, in, time.Now())
		err = p.err
	}
	if err == nil && (len(in.Damage) > 0 || in.Refused != "") {
		return errFindings
	}
	return err
}

// lookInto reads all that a state's directory holds. A store that a start refuses
// is not opened: with which key or for which version it was made tells nothing of
// damage.
func lookInto(ctx context.Context, dir string, key *event.Key) (in *stateInfo, err error) {
	in = &stateInfo{Dir: dir, Tables: []stateTable{}, Positions: []statePosition{}}
	facts, _ := readStoreFacts(dir) // what is damaged in them is found below
	if r := facts.refused(key); r != nil {
		in.Refused, in.Do = r.why, r.do
	} else if err := in.look(ctx); err != nil {
		return nil, err
	}
	if in.Files, err = stateSizes(dir); err != nil {
		return nil, err
	}
	return in, nil
}

// look takes what the store holds.
func (in *stateInfo) look(ctx context.Context) error {
	oldest := int64(math.MaxInt64)
	report, err := state.Look(ctx, in.Dir, func(_ int, _ uint16, _ state.Key, value []byte) {
		if first, _, ok := windows.ValueTimes(value); ok {
			oldest = min(oldest, first)
		}
	})
	if oldest != math.MaxInt64 {
		in.Oldest = time.Unix(oldest, 0).UTC()
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, fs.ErrNotExist): // nothing was kept yet
	case err != nil:
		in.Damage = []string{plainDamage(err.Error())}
	case len(report.Faults) > 0:
		in.Damage = faultTexts(&report)
	case report.Last.Meta != nil:
		if err := in.checkpoint(&report); err != nil {
			in.Damage = []string{err.Error()}
		}
	}
	in.Garbage = report.Garbage
	return nil
}

// faultTexts says what is wrong with a store.
func faultTexts(report *state.Report) (texts []string) {
	for _, f := range report.Faults {
		texts = append(texts, f.Where+": "+plainDamage(f.What))
	}
	if report.MoreFaults > 0 {
		texts = append(texts, fmt.Sprintf("and %s more", plural(int64(report.MoreFaults), "fault")))
	}
	return texts
}

// keyWords writes the name of a table as rules write a key.
func keyWords(name string) string {
	listed := func(fields string) string { return strings.Join(strings.Fields(fields), ", ") }
	key, population, members := strings.Cut(name, " of ")
	switch {
	case name == "":
		return "the whole site"
	case members:
		return fmt.Sprintf("%s (members of %s)", listed(key), listed(population))
	}
	return listed(key)
}

// ownTables are the tables of what rules keep besides windows.
var ownTables = map[uint16]string{
	0xFFFF: "targets of decisions",
	0xFFFE: "rules that are on",
}

// checkpoint takes what the last checkpoint says.
func (in *stateInfo) checkpoint(report *state.Report) error {
	meta, err := pipeline.ReadMeta(report.Last.Meta)
	if err != nil {
		return err
	}
	in.Checkpoint = &stateAt{time.Unix(meta.Tick, 0).UTC(), meta.Written.UTC(), meta.Config}
	names := maps.Clone(ownTables)
	for _, t := range meta.Tables {
		names[t.Store] = keyWords(t.Name)
	}
	for _, t := range report.Tables {
		name, ok := names[t.Table]
		if !ok {
			name = fmt.Sprintf("table %d, which no rule reads any more", t.Table)
		}
		in.Keys += t.Values
		in.Bytes += t.Bytes
		in.Tables = append(in.Tables, stateTable{name, t.Values, t.Bytes})
	}
	slices.SortFunc(in.Tables, func(a, b stateTable) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name)) })
	for _, p := range meta.Positions {
		out := statePosition{Source: p.Source, Partition: p.Partition, Offset: p.Offset}
		if p.Watermark >= 0 {
			out.Watermark = time.Unix(p.Watermark, 0).UTC()
			if p.MaxTime > math.MinInt64/8 {
				out.Newest = time.Unix(0, p.MaxTime).UTC()
			}
		}
		in.Positions = append(in.Positions, out)
	}
	slices.SortFunc(in.Positions, func(a, b statePosition) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Partition, b.Partition))
	})
	return nil
}

// ballastPart is what the store holds to have room when there is none.
const ballastPart = "ballast"

// stateParts are the parts of a state's directory, by how the names of their
// files begin; the first that fits a name counts.
var stateParts = []struct{ prefix, what string }{
	{storeDir, "store"}, // with its sidecar
	{"ballast", ballastPart},
	{"journal", "journal"},
	{"decisions", "decisions"},
	{"ledger", "ledger"},
	{configsDir, "old rules"},
	{"", "other"},
}

// stateSizes adds up what the parts of a directory take on disk.
func stateSizes(dir string) ([]stateFile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("state: dir: %w", err)
	}
	parts := make([]stateFile, len(stateParts))
	var broken []stateFile
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, storeBroken) {
			f := stateFile{What: name, Aside: whyAside(filepath.Join(dir, name))}
			if err := f.add(filepath.Join(dir, name)); err != nil {
				return nil, err
			}
			broken = append(broken, f)
			continue
		}
		i := 0
		for !strings.HasPrefix(name, stateParts[i].prefix) {
			i++
		}
		parts[i].What = stateParts[i].what
		if err := parts[i].add(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	parts = slices.DeleteFunc(parts, func(f stateFile) bool { return f.Files == 0 })
	return append(parts, broken...), nil
}

// add counts a file, or all below a directory.
func (f *stateFile) add(path string) error {
	err := filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		f.Files++
		f.Bytes += blocks(info)
		return nil
	})
	if err != nil {
		return fmt.Errorf("state: dir: %w", err)
	}
	return nil
}

// whyAside returns why a store was put aside, as the note in it says.
func whyAside(dir string) string {
	f, err := os.Open(filepath.Join(dir, "why"))
	if err != nil {
		return "nothing says why any more"
	}
	defer f.Close() // it is only read
	b := make([]byte, 400)
	n, _ := io.ReadFull(f, b) // of a short note all there is
	return plainDamage(oneLine(string(b[:n])))
}

// blocks returns what a file takes on disk: one with holes in it is larger than
// it is heavy.
func blocks(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}
