package score

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"weir/enrich"
	"weir/event"
	"weir/ingest"
	"weir/simulate"
)

// Log is a made-up log, opened, with the labels of its lines.
type Log struct {
	Truth    *simulate.Truth
	Labels   io.Reader // labels.txt.zst
	Source   ingest.Source
	Decode   ingest.Decoder
	Tables   *enrich.Tables
	Enrich   enrich.Source
	Only     func(*event.Event) bool // nil: every line
	Unjudged bool                    // its lines do not say what came of a request
	Disorder time.Duration
	Lateness time.Duration

	// Missed, where it is not nil, is shown each request of an attack that
	// passed. The event dies with the call.
	Missed func(label string, ev *event.Event)
}

// How much is read at a time.
const (
	batchLines = 1000
	batchBytes = 1 << 20
)

// Run plays a log against a ledger that was read.
func Run(ctx context.Context, log Log, ledger *Ledger) (*Result, error) {
	ledger.Resolve()
	r, err := newRun(log, ledger)
	if err != nil {
		return nil, err
	}
	defer r.labels.close()
	if err := r.read(ctx); err != nil {
		return nil, err
	}
	return r.result(), nil
}

// run is a pass over a log.
type run struct {
	log      Log
	ledger   *Ledger
	labels   *labels
	worker   *enrich.Worker
	line     *timeline
	tallies  []*tally
	paces    map[string]*pace // by campaign
	standing *standing
	rates    *buckets
	naive    [contenders]*naive
	rules    []ruleTally
	text     []byte

	lines, events, broken, filtered int64

	recs  ingest.Records
	batch event.Batch
	of    []int // the label of each event of the batch
	long  []int // before each line of the batch, those too long to be read
	tail  int   // and behind the last one
}

func newRun(log Log, ledger *Ledger) (*run, error) {
	t := log.Truth
	r := &run{log: log, ledger: ledger, line: newTimeline(t.From, t.Until)}
	var err error
	if r.labels, err = newLabels(log.Labels, t.Labels); err != nil {
		return nil, err
	}
	if r.rates, err = newBuckets(ledger.rates.all); err != nil {
		return nil, err
	}
	r.paces = map[string]*pace{}
	for i := range t.Labels {
		y := newTally(&t.Labels[i], r.line)
		if name := campaignOf(y.label); y.label.Attack {
			if r.paces[name] == nil {
				r.paces[name] = &pace{}
			}
			y.campaign = r.paces[name]
		}
		r.tallies = append(r.tallies, y)
	}
	r.naive = [contenders]*naive{byTen: newNaive(10, ledger.how.Delay), byFive: newNaive(5, ledger.how.Delay)}
	r.standing = newStanding(ledger.how.Key, ledger.known, int64(log.Disorder), int64(log.Lateness/time.Second))
	for _, name := range ledger.rules.all {
		r.rules = append(r.rules, ruleTally{RuleShare: RuleShare{Rule: name}})
	}
	reads := log.Enrich.Reads
	log.Enrich.Reads = func(f event.Field) bool {
		return f == event.FieldEndpoint || ledger.reads(f) || reads != nil && reads(f)
	}
	r.worker = log.Tables.Worker(log.Enrich)
	return r, nil
}

// read reads the log beside its labels.
func (r *run) read(ctx context.Context) error {
	if n := r.log.Source.Partitions(); n != 1 {
		return fmt.Errorf("%s: %d logs, must be one", r.log.Truth.Log, n)
	}
	for done := false; !done; {
		var err error
		if done, err = r.take(ctx); err != nil {
			return err
		}
		if err := r.add(); err != nil {
			return err
		}
	}
	if n := r.log.Truth.Lines; n != r.lines {
		return fmt.Errorf("%s: %d lines, %s says %d", r.log.Truth.Log, r.lines, simulate.TruthFile, n)
	}
	switch _, err := r.labels.next(); {
	case err == nil:
		return fmt.Errorf("%s: line %d: %s has only %d lines", simulate.LabelsFile, r.lines+1, r.log.Truth.Log, r.lines)
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// take reads a batch of lines. They are asked for one by one: a line that is too
// long to be returned has a label, too, and so it must be known where it stands.
func (r *run) take(ctx context.Context) (done bool, err error) {
	r.recs.Reset()
	r.long = r.long[:0]
	for r.recs.Len() < batchLines && len(r.recs.Data) < batchBytes {
		before := r.recs.TooLong
		err := r.log.Source.Read(ctx, 0, 1, &r.recs)
		done = errors.Is(err, io.EOF)
		if err != nil && !done {
			return false, err
		}
		r.tail += r.recs.TooLong - before
		if r.recs.Len() > len(r.long) { // they stood before this one
			r.long = append(r.long, r.tail)
			r.tail = 0
		}
		if done {
			break
		}
	}
	return done, ctx.Err()
}

// add takes the lines that were read.
func (r *run) add() error {
	r.batch.Reset()
	r.of = r.of[:0]
	for i, long := range r.long {
		for ; long > 0; long-- {
			if _, err := r.label(); err != nil {
				return err
			}
			r.broken++
		}
		label, err := r.label()
		if err != nil {
			return err
		}
		ev := r.batch.Next()
		if r.log.Decode(r.recs.Line(i), ev, &r.batch.Arena) != nil {
			r.batch.Drop()
			r.broken++
			continue
		}
		r.of = append(r.of, label)
	}
	for ; r.tail > 0; r.tail-- { // behind the last line that could be read
		if _, err := r.label(); err != nil {
			return err
		}
		r.broken++
	}
	r.worker.Enrich(&r.batch)
	for i := range r.batch.Events {
		r.judge(&r.batch.Events[i], r.of[i])
	}
	return nil
}

// label returns the label of the next line.
func (r *run) label() (int, error) {
	i, err := r.labels.next()
	r.lines++
	if errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("%s: line %d: %s has only %d lines", r.log.Truth.Log, r.lines, simulate.LabelsFile, r.lines-1)
	}
	return i, err
}

// judge says what becomes of a request.
func (r *run) judge(ev *event.Event, label int) {
	y := r.tallies[label]
	if r.log.Only != nil && !r.log.Only(ev) {
		r.filtered++
		return
	}
	r.events++
	delete(r.ledger.unmet, ev.Endpoint)
	ev.Unjudged = r.log.Unjudged && ev.Outcome == event.NoOutcome
	r.standing.add(ev)
	j := r.ledger.judge(ev, &r.text, r.standing, r.rates)
	who := sender{
		address: r.hash(ev, event.FieldIP), net: r.hash(ev, event.FieldNet),
		fingerprint: r.hash(ev, event.FieldFingerprint), account: r.hash(ev, event.FieldCredential),
	}
	var naive [contenders]bool
	for by := byTen; by < contenders; by++ {
		naive[by] = r.naive[by].blocks(ev, who.address)
	}
	y.add(ev, who, j, naive, r.line)
	if miss := r.log.Missed; miss != nil && y.label.Attack && !j.fate.stops() {
		miss(y.label.Name, ev)
	}
	if j.rule >= 0 {
		r.rules[j.rule].add(label, len(r.tallies), y.label.Attack, j.fate)
	}
}

// hash returns the hash of an event's value of a field; 0 where it has none.
func (r *run) hash(ev *event.Event, f event.Field) uint64 {
	r.text = ev.AppendValue(r.text[:0], f)
	if len(r.text) == 0 {
		return 0
	}
	return max(1, r.ledger.how.Key.Hash(r.text))
}
