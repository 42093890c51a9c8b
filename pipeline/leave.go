package pipeline

import (
	"errors"
	"math"
	"time"
)

// leave writes a last checkpoint and says where another run can go on. All that
// was decided up to the current tick has left.
func (r *run) leave() error {
	k := &r.keeping
	if r.current < math.MinInt64/4 {
		return nil
	}
	if err := r.sound(); err != nil {
		return err
	}
	if k.store != nil && !k.temporary {
		until := time.Now().Add(lastCheckpoint)
		if r.cfg.LeaveBy != nil {
			if by := r.cfg.LeaveBy(); !by.IsZero() && by.Before(until) {
				until = by
			}
		}
		r.finishCut(until)
		if full, free := k.store.Full(); full {
			r.cfg.Log.Error("no last checkpoint: the disk is full; the next start reads from the one before", "free", free)
		} else if k.at != r.current {
			if err := r.beginCut(); err != nil {
				return err
			}
			r.finishCut(until)
			if k.at != r.current {
				r.cfg.Log.Error("the last checkpoint did not succeed; the next start reads from the one before")
			}
		}
	}
	if r.cfg.Left != nil {
		var checkpoint CheckpointStatus
		if st := k.status.Load(); st != nil {
			checkpoint = *st
		}
		r.cfg.Left(&Resume{
			Checkpoint: checkpoint,
			Tick:       r.current, State: r.state, Positions: r.positions(r.current), Standing: r.clock.facts(), Unreviewed: r.unreviewed,
			Saved: k.store == nil || k.at == r.current && !k.temporary,
		})
	}
	return nil
}

// finishCut goes on with the checkpoint that is under way until it has ended.
func (r *run) finishCut(until time.Time) {
	k := &r.keeping
	c := k.cut
	if c == nil {
		return
	}
	c.checkpoint.Pace(1)
	for !c.encoded && !time.Now().After(until) {
		if !c.checkpoint.Room() {
			time.Sleep(time.Millisecond)
			continue
		}
		r.encodeSlice(c, maxSlice, math.MaxInt64)
	}
	switch {
	case c.settling != nil:
	case !c.encoded:
		c.checkpoint.Abort()
		c.err = errors.New("not written in time")
		c.settling = r.settling(c)
	default:
		timer := time.AfterFunc(time.Until(until), c.late)
		defer timer.Stop()
		c.err = <-c.result
		c.settling = r.settling(c)
	}
	r.slice(c.settling, math.MaxInt64)
	r.settled(c)
}

// giveUp ends what is under way when the run ends.
func (r *run) giveUp() {
	k := &r.keeping
	for _, t := range []*time.Timer{k.timer, k.alarm} {
		if t != nil {
			t.Stop()
		}
	}
	if c := k.cut; c != nil {
		c.late()
		switch {
		case c.settling != nil:
		case c.encoded:
			c.checkpoint.Pace(1)
			<-c.result
		default:
			c.checkpoint.Abort()
		}
		k.cut = nil
	}
	if k.temporary {
		if err := k.store.Close(); err != nil {
			r.cfg.Log.Warn("the temporary store could not be removed", "error", err)
		}
	}
}
