package main

import (
	"maps"

	"weir/pipeline"
)

// counts makes what pipelines count the process's: it begins at 0 where the run
// went on from what an earlier process had counted, and goes on where a reload
// began another pipeline. A counter that jumps by all that a log ever had, or
// falls, would be a flood to who watches its increase.
type counts struct {
	partitions map[partitionOf]*passed
	before     pipeline.Summary // what pipelines that ended counted, besides tallies
}

// partitionOf names a partition.
type partitionOf struct {
	source string
	local  int32
}

// passed is what a process counted in a partition. A pipeline that goes on where
// another stopped reads some of it once more and counts it again from there: until
// it is further than that one was nothing new was counted.
type passed struct{ began, most pipeline.Tally }

// complete makes the figures of a status those of the process.
func (c *counts) complete(s *pipeline.Status) {
	if c.partitions == nil {
		c.partitions = map[partitionOf]*passed{}
	}
	for i := range s.Partitions {
		p := &s.Partitions[i]
		id := partitionOf{p.Source, p.Partition}
		if c.partitions[id] == nil {
			c.partitions[id] = &passed{began: p.Began}
		}
		c.partitions[id].reach(p.Tally)
	}
	sum := &s.Summary
	sum.Tally = pipeline.Tally{}
	for _, p := range c.partitions { // of sources that are gone, too
		sum.Tally.Add(p.most)
	}
	sum.Filtered += c.before.Filtered
	sum.Again += c.before.Again
	sum.Refused += c.before.Refused
	sum.Rejected = added(c.before.Rejected, reasons(sum.Rejected))
}

// ended keeps what a pipeline counted that another one goes on from.
func (c *counts) ended(s *pipeline.Summary) {
	c.before.Filtered += s.Filtered
	c.before.Again += s.Again
	c.before.Refused += s.Refused
	c.before.Rejected = added(s.Rejected, reasons(c.before.Rejected))
}

func (p *passed) reach(t pipeline.Tally) {
	m, b := &p.most, &p.began
	m.Events = max(m.Events, t.Events-b.Events)
	m.Late = max(m.Late, t.Late-b.Late)
	m.Dropped = max(m.Dropped, t.Dropped-b.Dropped)
	m.Future = max(m.Future, t.Future-b.Future)
	m.Clamped = max(m.Clamped, t.Clamped-b.Clamped)
}

// reasons returns counts by reason that may be added to.
func reasons(n map[string]int64) map[string]int64 {
	if n == nil {
		return map[string]int64{}
	}
	return maps.Clone(n)
}
