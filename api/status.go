package api

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"weir/emit"
	"weir/pipeline"
)

// Status is the answer of /api/v1/status.
type Status struct {
	Version   string        `json:"version"`
	Started   time.Time     `json:"started"`
	Now       time.Time     `json:"now"`
	Readiness Readiness     `json:"readiness"`
	Process   Process       `json:"process"`
	Engine    *Engine       `json:"engine"` // null before it has said how it stands
	Force     Force         `json:"force"`
	Points    []PointStatus `json:"points"`
}

// PointStatus is how a point stands.
type PointStatus = emit.PointStatus

// Engine is how the engine stands.
type Engine struct {
	At              time.Time        `json:"at"`
	Tick            time.Time        `json:"tick"` // the second that was closed last; zero before the first
	Events          int64            `json:"events"`
	EventsPerSecond float64          `json:"events_per_second"` // over the last minute
	Late            int64            `json:"late"`
	Dropped         int64            `json:"dropped"`
	Future          int64            `json:"future"`
	Clamped         int64            `json:"clamped"`
	Again           int64            `json:"again"` // read a second time after a restart, and passed over
	Filtered        int64            `json:"filtered"`
	Refused         int64            `json:"refused"`
	Rejected        map[string]int64 `json:"rejected"` // by reason
	Broken          []string         `json:"broken"`   // files that could not be read on
	Keys            int64            `json:"keys"`
	StateBytes      int64            `json:"state_bytes"`
	Degraded        bool             `json:"degraded"` // new keys are turned away now
	Shed            map[string]int64 `json:"shed"`     // by kind
	OnRules         int              `json:"on_rules"`
	Pending         int64            `json:"pending"`
	Keeping         Keeping          `json:"keeping"`
	Sources         []SourceStatus   `json:"sources"`
	Partitions      []Partition      `json:"partitions"` // at most maxPartitions
}

// maxPartitions is how many partitions an answer names one by one.
const maxPartitions = 1024

// SourceStatus sums up the partitions of a source.
type SourceStatus struct {
	Name       string    `json:"name"`
	Partitions int       `json:"partitions"`
	Idle       int       `json:"idle"`
	Lost       int       `json:"lost"`
	Lag        int64     `json:"lag"` // still to be read, of those where it is known: records of a topic, bytes of files
	Topic      bool      `json:"topic"`
	Unknown    int       `json:"unknown"`   // partitions whose lag is not known
	Watermark  time.Time `json:"watermark"` // the lowest of those that are not idle; zero: none has one
	Behind     Behind    `json:"behind"`
	Absent     string    `json:"absent,omitempty"` // why its log is not there; empty: it is, or it is a topic or a glob
}

// Behind is what of a source has more to read: the partition that is furthest
// behind, and how much there is over all.
type Behind struct {
	Partitions int       `json:"partitions"`
	Lag        int64     `json:"lag"`
	Watermark  time.Time `json:"watermark"` // zero: it has not come to its first event
}

// Partition is how one partition stands.
type Partition struct {
	Source    string    `json:"source"`
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Saved     int64     `json:"saved"` // from which a restart would read on
	Lag       *int64    `json:"lag"`   // null: not known
	Watermark time.Time `json:"watermark"`
	Idle      bool      `json:"idle"`
	Lost      bool      `json:"lost"`
}

// second returns a watermark as a time; one that is none is the zero time.
func second(s int64) time.Time {
	if s < 0 || s > pipeline.LastSecond {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// summarise sums up partitions by source, in the order of the first of each.
func summarise(ps []pipeline.PartitionStatus) (sources []SourceStatus) {
	at := map[string]int{}
	for i := range ps {
		p := &ps[i]
		n, ok := at[p.Source]
		if !ok {
			n = len(sources)
			at[p.Source] = n
			sources = append(sources, SourceStatus{Name: p.Source, Topic: p.Topic})
		}
		s := &sources[n]
		s.Partitions++
		mark := second(p.Watermark)
		switch {
		case p.Idle:
			s.Idle++
		case !mark.IsZero() && (s.Watermark.IsZero() || mark.Before(s.Watermark)):
			s.Watermark = mark
		}
		if p.Lost {
			s.Lost++
		}
		if p.Lag < 0 {
			s.Unknown++
			continue
		}
		s.Lag += p.Lag
		if p.Lag == 0 {
			continue
		}
		b := &s.Behind
		if b.Partitions == 0 || mark.Before(b.Watermark) {
			b.Watermark = mark
		}
		b.Partitions++
		b.Lag += p.Lag
	}
	return sources
}

func (a *Server) status(*http.Request) (any, error) {
	now := a.cfg.Now()
	st := a.cfg.Status()
	reasons := a.reasons(st, now)
	doc := Status{
		Version: a.cfg.Version, Started: a.cfg.Started.UTC(), Now: now.UTC(),
		Readiness: Readiness{len(reasons) == 0, reasons}, Process: process(), Force: ForceOf(a.cfg.Ledger), Points: []PointStatus{},
	}
	for _, r := range a.cfg.Points {
		doc.Points = append(doc.Points, r.Status())
	}
	if st != nil {
		doc.Engine = engine(st)
		absent := a.absent()
		for i := range doc.Engine.Sources {
			if s := &doc.Engine.Sources[i]; absent[s.Name] != nil {
				s.Absent = absent[s.Name].Error()
			}
		}
		doc.Engine.EventsPerSecond = a.rate.of(st.At, st.Summary.Events)
	}
	return doc, nil
}

func engine(st *pipeline.Status) *Engine {
	s := &st.Summary
	e := &Engine{
		At: st.At.UTC(), Tick: second(st.Tick), Events: s.Events, Late: s.Late, Dropped: s.Dropped, Future: s.Future, Clamped: s.Clamped,
		Again: s.Again, Filtered: s.Filtered, Refused: s.Refused, Rejected: maps.Clone(s.Rejected), Broken: []string{},
		Keys: s.Keys, StateBytes: accounted(st), Shed: shedKinds(s), OnRules: st.OnRules, Pending: st.Pending, Degraded: st.Degraded > 0, Keeping: keeping(st),
		Sources: summarise(st.Partitions), Partitions: []Partition{},
	}
	for _, err := range s.Broken[:min(len(s.Broken), maxPartitions)] {
		e.Broken = append(e.Broken, err.Error())
	}
	for _, p := range st.Partitions[:min(len(st.Partitions), maxPartitions)] {
		out := Partition{Source: p.Source, Partition: p.Partition, Offset: p.Offset, Saved: p.Saved, Watermark: second(p.Watermark), Idle: p.Idle, Lost: p.Lost}
		if p.Lag >= 0 {
			out.Lag = &p.Lag
		}
		e.Partitions = append(e.Partitions, out)
	}
	return e
}

// shedKinds names what was not kept for lack of room.
func shedKinds(s *pipeline.Summary) map[string]int64 {
	return map[string]int64{
		"keys": s.Shed.Keys, "contributions": s.Shed.Contributions, "values": s.Shed.Values,
		"decisions": s.Shed.Decisions, "histories": s.Shed.Histories, "on_states": s.Shed.OnStates,
		"facts": s.Shed.Facts,
	}
}

// rate knows how many events came in the last minute.
type rate struct {
	mu     sync.Mutex
	points []ratePoint // at most rateSpan/rateStep and one, the oldest first
}

type ratePoint struct {
	at     time.Time
	events int64
}

const (
	rateSpan = time.Minute
	rateStep = 5 * time.Second
)

// sample notes how many events there are every few seconds, until ctx ends.
func (a *Server) sample(ctx context.Context) error {
	t := time.NewTicker(rateStep)
	defer t.Stop()
	for {
		if st := a.cfg.Status(); st != nil {
			a.rate.note(st.At, st.Summary.Events)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

func (r *rate) note(at time.Time, events int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// A status that is no newer replaces, so that a stalled engine adds nothing.
	r.points = slices.DeleteFunc(r.points, func(p ratePoint) bool { return at.Sub(p.at) > rateSpan || !p.at.Before(at) })
	if len(r.points) > int(rateSpan/rateStep) {
		r.points = slices.Delete(r.points, 0, 1)
	}
	r.points = append(r.points, ratePoint{at, events})
}

// of returns the events a second from the oldest point on.
func (r *rate) of(at time.Time, events int64) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.points) == 0 {
		return 0
	}
	first := r.points[0]
	took := at.Sub(first.at).Seconds()
	if took < 1 {
		return 0
	}
	return float64(events-first.events) / took
}
