package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"weir/ingest"
	"weir/rules"
)

// Resume is where a run stopped, so that another one can go on from there: a
// state of which all seconds before Tick were folded, and from where on each
// partition has to be read. See docs/adr/0008.
type Resume struct {
	Tick       int64
	State      *rules.State
	Positions  []Position
	Standing   map[int64]*rules.Standing // by the hour as of which they hold
	Unreviewed bool                      // there were events since the last review
	Saved      bool                      // it is on disk as it is, or there is no disk
	Checkpoint CheckpointStatus          // how those of the pipeline that stopped stood
}

// Position is a place in a partition from which on every event has to be read
// that counts at a tick or later, with the partition's clock at that place.
type Position struct {
	Source    string
	Partition int32
	Offset    int64
	Clock     []byte // see partitionClock.appendPosition
	// Topic tells the topic that it is of from one of the same name that was
	// created anew; empty: it is of no topic.
	Topic string
}

// Topic returns of which topic a source's positions are; empty: of none.
func (r *Resume) Topic(source string) string {
	for i := range r.Positions {
		if r.Positions[i].Source == source {
			return r.Positions[i].Topic
		}
	}
	return ""
}

// Offset returns where a partition is to be read from; ok is false for one that
// was not there yet.
func (r *Resume) Offset(source string, partition int32) (offset int64, ok bool) {
	if p := r.position(partitionID{source, partition}); p != nil {
		return p.Offset, true
	}
	return 0, false
}

func (r *Resume) position(id partitionID) *Position {
	for i := range r.Positions {
		if p := &r.Positions[i]; p.Source == id.source && p.Partition == id.local {
			return p
		}
	}
	return nil
}

// resume makes the partition's clock what it was at its position.
func (p *partition) resume(r *Resume) error {
	at := r.position(p.id())
	if at == nil {
		return p.appearedBehind(r.Tick)
	}
	if err := p.clock.restorePosition(at.Clock); err != nil {
		return fmt.Errorf("source %s, partition %d: %w", at.Source, at.Partition, err)
	}
	p.resumed, p.skip = true, p.clock.next
	p.next = max(p.next, p.clock.next)
	if s, ok := p.run.cfg.Sources[p.source].Source.(ingest.Seeker); ok && p.tail == nil {
		return s.Seek(p.local, p.skip)
	}
	return nil
}

// ErrNoPosition is what an error wraps of a partition that was read before, and
// of which a state does not say how far: it could count twice, or not at all.
var ErrNoPosition = errors.New("it was read before, and the state does not say how far")

// appearedBehind returns an error unless the partition came to be read behind a
// tick, or never was.
func (p *partition) appearedBehind(tick int64) error {
	id := p.id()
	for _, m := range p.run.starts.marks[id] {
		if m.Event == MarkStart && m.Watermark < tick {
			return fmt.Errorf("source %s, partition %d: %w (the source was taken out of the configuration and came back, or the topic lacked the partition): "+
				"give the source another name, under which it begins anew; or have the whole state made anew from the log", id.source, id.local, ErrNoPosition)
		}
	}
	return nil
}

// linedUp returns an error unless all partitions are there of which there is a
// position, as far as their sources are read: the clock must not go on without.
func (r *run) linedUp(from *Resume) error {
	if from == nil {
		return nil
	}
	for i := range from.Positions {
		at := &from.Positions[i]
		known := slices.ContainsFunc(r.cfg.Sources, func(s Source) bool { return s.Name() == at.Source })
		if known && !slices.ContainsFunc(r.partitions, func(p *partition) bool { return p.id() == partitionID{at.Source, at.Partition} }) {
			return fmt.Errorf("source %s: partition %d is not there, and the state has a position in it: wait until all of the source is there again", at.Source, at.Partition)
		}
	}
	return nil
}

// points are places in a partition, and its clock at them, among which is one
// for every tick that may be run: before it are only events of earlier seconds.
type points struct {
	mu  sync.Mutex
	all []point
}

type point struct {
	offset int64
	last   int64 // the last second in which an event before it counts
	clock  []byte
}

// note takes the place at which the clock is as a point, behind a chunk that was
// judged, where nothing is in doubt. A run that nobody can go on from has none.
func (p *partition) note(c *partitionClock) {
	if c.holding || !p.run.kept() {
		return
	}
	ps := &p.points
	ps.mu.Lock()
	defer ps.mu.Unlock()
	n := len(ps.all)
	if n > 0 && ps.all[n-1].offset == c.next && ps.all[n-1].last == c.last {
		return
	}
	var room []byte
	if n > 0 && ps.all[n-1].last == c.last { // the later one is as good and nearer
		room, ps.all = ps.all[n-1].clock[:0], ps.all[:n-1]
	}
	ps.all = append(ps.all, point{c.next, c.last, c.appendPosition(room)})
	if len(ps.all) > 64 {
		ps.forget(p.run.ran.Load())
	}
}

// forget drops the points that no tick from this one on needs.
func (ps *points) forget(tick int64) {
	for len(ps.all) > 1 && ps.all[1].last < tick {
		ps.all = ps.all[1:]
	}
}

// positions returns from where on partitions have to be read by a run that goes
// on at a tick that has run.
func (r *run) positions(tick int64) []Position {
	c := r.clock
	c.mu.Lock()
	partitions := slices.Clip(c.partitions)
	c.mu.Unlock()
	found := make([]Position, 0, len(partitions))
	for _, p := range partitions {
		p.points.mu.Lock()
		p.points.forget(tick)
		at := p.points.all[0]
		found = append(found, Position{
			Source: r.cfg.Sources[p.source].Name(), Partition: int32(p.local), Offset: at.offset, Clock: append([]byte(nil), at.clock...),
			Topic: topicOf(r.cfg.Sources[p.source].Source),
		})
		p.points.mu.Unlock()
	}
	return found
}

// topicOf returns what tells a source's topic from another of its name.
func topicOf(s ingest.Source) string {
	if t, ok := s.(interface{ ID() string }); ok {
		return t.ID()
	}
	return ""
}
