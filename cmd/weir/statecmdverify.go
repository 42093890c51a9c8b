package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weir/emit"
	"weir/event"
	"weir/pipeline"
	"weir/state"
)

// verdict is what a check of one part of a state found.
type verdict struct {
	What string `json:"what"`
	OK   bool   `json:"ok"`
	Open bool   `json:"not_checked,omitempty"` // it could not be checked
	Text string `json:"text"`                  // what was checked, or what is wrong
	Do   string `json:"do,omitempty"`          // what to do about it

	none bool // there is no such file, which may be right
}

// noneYet is the verdict on a file that a run makes only when it has something
// to write there.
func noneYet(what string) verdict {
	return verdict{What: what, OK: true, Text: "there is none yet", none: true}
}

func (e *environment) stateVerify(ctx context.Context, o *stateOptions, args []string) (err error) {
	h, err := e.holdState(o, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.done()) }()
	key, err := h.loadKey()
	if err != nil {
		return err
	}
	all, err := verifyState(ctx, h.path, key)
	if err != nil {
		return err
	}
	if o.json {
		err = printJSON(e.out, all)
	} else {
		p := &page{w: e.out}
		for _, v := range all {
			printVerdict(p, &v)
		}
		err = p.err
	}
	if err != nil {
		return err
	}
	return verdictOf(all)
}

// errUnchecked says that no fault was found, and not everything was looked at.
var errUnchecked = errors.New("not everything could be checked")

// verdictOf returns how a command ends that came to these verdicts.
func verdictOf(all []verdict) (err error) {
	for _, v := range all {
		switch {
		case v.Open:
			err = errUnchecked
		case !v.OK:
			return errFindings
		}
	}
	return err
}

func printVerdict(p *page, v *verdict) {
	word := "ok: "
	switch {
	case v.Open:
		word = "NOT CHECKED: "
	case !v.OK:
		word = "FAULT: "
	}
	p.wrapped(shown(v.What, 40), 22, word+shown(v.Text, 600))
	if v.Do != "" {
		p.wrapped("", 22, v.Do)
	}
}

// verifyState checks every part of a state's directory.
func verifyState(ctx context.Context, dir string, key *event.Key) (all []verdict, err error) {
	facts, _ := readStoreFacts(dir) // what is damaged in them is found below
	refused := facts.refused(key)
	var rests restsOn
	if refused != nil {
		all = []verdict{{What: storeDir, Text: refused.why, Do: refused.do}}
	} else {
		all, rests = verifyStore(ctx, dir)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	journal, marks := verifyJournal(filepath.Join(dir, journalFile))
	all = append(all, rests.judge(journal))
	if journal.OK {
		all = append(all, verifyConfigs(dir, marks, rests.era)...)
	}
	decisions, err := decisionFiles(dir)
	if err != nil {
		return nil, err
	}
	for i, name := range decisions {
		all = append(all, rests.judge(verifyDecisions(ctx, filepath.Join(dir, name), i == len(decisions)-1)))
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	if key != nil && refused != nil && facts.KeyID != storeKeyID(key) {
		return append(all, verdict{What: ledgerFile, Open: true, Text: "its chain is made with the key of the store, which is not this one", Do: doKey}), nil
	}
	return append(all, rests.judge(verifyLedger(dir, key))), nil
}

// What to do about what is damaged.
const (
	doStore     = "start weir: it puts the store aside and makes it anew from the log"
	doJournal   = "restore it from a copy; without one begin a new state: nobody knows from where the log was read"
	doDecisions = "restore it from a copy, or move it, store and store.json away: all is decided again from the log, as far as that reaches back"
	doSealed    = "weir does not start on it until that is done"
	doLedger    = "keep a copy of ledger*.jsonl for whoever finds out why; restore them, or move them, store and store.json away: then nothing is in force until it is decided again"
	doConfig    = "restore it from a copy; a start with the same rules writes it anew. Without it a replay decides that time by the rules of today, and a state that was decided by it is made anew from the log"
	doCut       = "nothing: a crash left it so, and the next start cuts it off"
	doKey       = "name the key file: weir state verify --key FILE, or a configuration with -c"
)

// maxFaults is how many faults of the store are verdicts of their own.
const maxFaults = 20

// restsOn is what a checkpoint rests on.
type restsOn struct {
	era    []int64  // the number of the configuration that it was decided by; empty: there is no checkpoint
	broken []string // the files that are not as it knows them any more
}

// judge makes a verdict on a file one that a start agrees with: a file that ends
// before the checkpoint knows it to end is cut short by no crash, and no start
// mends it.
func (r *restsOn) judge(v verdict) verdict {
	if v.OK && slices.Contains(r.broken, v.What) {
		v.OK, v.Do = false, doSealed
		if v.none {
			v.Text = "it is missing"
		}
		v.Text += "; the checkpoint rests on more than is there, or on something else (see the store above)"
	}
	return v
}

// verifyStore reads every record of the store. It also returns what its
// checkpoint rests on.
func verifyStore(ctx context.Context, dir string) (all []verdict, rests restsOn) {
	report, err := state.Look(ctx, dir, nil)
	var meta pipeline.Meta
	if err == nil && len(report.Faults) == 0 && report.Last.Meta != nil {
		meta, err = pipeline.ReadMeta(report.Last.Meta)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []verdict{noneYet(storeDir)}, rests
	case errors.Is(err, state.ErrCorrupt):
		return []verdict{{What: storeDir, Text: plainDamage(err.Error()), Do: doStore}}, rests
	case err != nil: // it could not be looked at, which says nothing of it
		return []verdict{{What: storeDir, Open: true, Text: err.Error()}}, rests
	case len(report.Faults) == 0:
		keys, records := int64(0), int64(0)
		for _, t := range report.Tables {
			keys += t.Values
			records += t.Records
		}
		text := fmt.Sprintf("%s in %s: each is as it was written, and none is missing", plural(keys, "key"), plural(records, "record"))
		all = []verdict{{What: storeDir, OK: true, Text: text}}
		if rests.broken, err = brokenSeals(dir, &meta); err != nil {
			all = append(all, verdict{What: storeDir, Text: err.Error(), Do: doSealed})
		}
		if report.Last.Meta != nil {
			rests.era = []int64{meta.Era}
		}
		return all, rests
	}
	for _, f := range report.Faults[:min(len(report.Faults), maxFaults)] {
		all = append(all, verdict{What: cmp.Or(f.Where, storeDir), Text: plainDamage(f.What)})
	}
	if n := len(report.Faults) - len(all) + report.MoreFaults; n > 0 {
		all = append(all, verdict{What: storeDir, Text: fmt.Sprintf("and %s more", several(n, "fault"))})
	}
	all[len(all)-1].Do = doStore
	return all, rests
}

func verifyJournal(path string) (v verdict, marks []pipeline.Mark) {
	v.What = journalFile
	marks, repaired, err := pipeline.ReadJournal(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v = noneYet(v.What)
	case err != nil:
		v.Text, v.Do = err.Error(), doJournal
	default:
		v.OK, v.Text = true, several(len(marks), "mark")
		if repaired != "" {
			v.Text, v.Do = v.Text+"; "+repaired, doCut
		}
	}
	return v, marks
}

// verifyConfigs reads the copies of all that the journal's eras were decided by,
// whole. Those of very old eras are not kept, which is no fault; those of the
// newest, and of the one that the store is of, must be there.
func verifyConfigs(dir string, marks []pipeline.Mark, era []int64) (all []verdict) {
	eras := erasOf(marks)
	hashes, kept := map[string]bool{}, keptHashes(eras, era...)
	for _, era := range eras {
		hashes[era.hash] = true
	}
	there := 0
	for _, hash := range slices.Sorted(maps.Keys(hashes)) {
		copied := filepath.Join(dir, configsDir, hash)
		if _, _, err := readCopy(copied, hash); err == nil {
			there++
		} else if kept[hash] || !missing(copied) {
			all = append(all, verdict{What: configsDir, Text: err.Error(), Do: doConfig})
		}
	}
	if more := len(all) - maxFaults; more > 0 {
		all = append(all[:maxFaults], verdict{What: configsDir, Text: fmt.Sprintf("and %s more", several(more, "fault"))})
	}
	if len(all) > 0 || len(hashes) == 0 {
		return all
	}
	text := fmt.Sprintf("the rules and all else that decides of %s: each is as it was written", several(there, "configuration"))
	if gone := len(hashes) - there; gone > 0 {
		text += fmt.Sprintf("; those of %d older ones are not kept any more", gone)
	}
	return []verdict{{What: configsDir, OK: true, Text: text}}
}

// decisionFiles returns the files of decisions in a directory, the one that is
// written last.
func decisionFiles(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("state: dir: %w", err)
	}
	for _, e := range entries {
		if name := e.Name(); name != decisionsFile && strings.HasPrefix(name, "decisions-") && strings.HasSuffix(name, ".jsonl") {
			names = append(names, name)
		}
	}
	return append(names, decisionsFile), nil
}

// maxDecision is how long a line of decisions may be.
const maxDecision = 1 << 20

// verifyDecisions reads every decision of a file; only the last line of the last
// one may be torn.
func verifyDecisions(ctx context.Context, path string, last bool) verdict {
	v := verdict{What: filepath.Base(path), Do: doDecisions}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return noneYet(v.What)
	}
	if err != nil {
		v.Text = err.Error()
		return v
	}
	defer f.Close() // it is only read
	r := bufio.NewReaderSize(f, maxDecision)
	for n := 1; ctx.Err() == nil; n++ {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			v.OK, v.Do, v.Text = true, "", plural(int64(n-1), "decision")
			if len(line) > 0 {
				v.OK, v.Do = last, doCut
				v.Text += fmt.Sprintf("; line %d was cut short after %d bytes", n, len(line))
				if !last {
					v.Do = doDecisions
				}
			}
			return v
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			err = fmt.Errorf("longer than %d bytes", maxDecision)
		}
		if err == nil {
			err = verifyDecision(bytes.TrimSuffix(line, []byte("\n")))
		}
		if err != nil {
			v.Text = fmt.Sprintf("line %d: %v", n, err)
			return v
		}
	}
	v.Text, v.Do = "not read to its end", ""
	return v
}

// verifyDecision reads a decision. An id is made of what a decision says, so it
// is a checksum of that; an end has the id of what ends.
func verifyDecision(line []byte) error {
	d, err := event.ReadDecision(line)
	if err != nil || d.Step == event.End {
		return err
	}
	if id := event.DecisionID(d.Step, d.Rule, d.Version, d.Would, d.Target, d.Except, d.Time); id != d.ID {
		return fmt.Errorf("decision: its id is %s, and what it says has %s", d.ID, id)
	}
	return nil
}

// verifyLedger checks the chain over all files of the ledger.
func verifyLedger(dir string, key *event.Key) verdict {
	v := verdict{What: ledgerFile}
	if key == nil {
		v.Open, v.Text, v.Do = true, "its chain is made with the key, and no key file was named", doKey
		return v
	}
	lines, err := emit.VerifyLedger(dir, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v = noneYet(v.What)
	case err != nil && lines == 0:
		v.Text, v.Do = fmt.Sprintf("%v (or it was made with another key than this)", err), doKey+"; if it is the right one: "+doLedger
	case err != nil:
		v.Text, v.Do = fmt.Sprintf("%v; of %s before it the chain holds", err, several(lines, "line")), doLedger
	default:
		v.OK, v.Text = true, fmt.Sprintf("%s, and its chain holds", several(lines, "line"))
	}
	return v
}
