package pipeline_test

import (
	"slices"

	"weir/event"
	"weir/rules"
	"weir/windows"
)

// onset counts a target's events in the ten minutes up to tick. Of a target that
// is only decided about through its own key it begins with the first event that
// some rule of that key looks at, that tries something, or that is refused.
func (o *oracle) onset(r *rules.Rule, c *rules.Consequence, target oracleKey, tick int64) (n int) {
	rows := slices.Concat(o.all.of(target), o.no.of(target))
	lookers, some := o.lookers(r, c)
	if !some {
		return len(lastMinutes(rows, tick))
	}
	slices.SortStableFunc(rows, func(a, b *oracleRow) int { return int(a.Second - b.Second) })
	const kept = int64(windows.W7d) + 3600
	last := int64(-1 << 62)
	for len(rows) > 0 && rows[0].Second < tick {
		second := rows[0].Second
		together := 1
		for together < len(rows) && rows[together].Second == second {
			together++
		}
		now := rows[:together]
		rows = rows[together:]
		looked := slices.ContainsFunc(now, func(row *oracleRow) bool {
			return row.Refused != event.NoAction || row.Outcome != event.NoOutcome ||
				slices.ContainsFunc(lookers, func(by *rules.Rule) bool { return row.where[by] })
		})
		if !looked && second-last > kept {
			continue
		}
		last = second
		n += len(lastMinutes(now, tick))
	}
	return n
}

// lastMinutes returns those of rows in the ten minutes up to tick.
func lastMinutes(rows []*oracleRow, tick int64) []*oracleRow {
	return slices.DeleteFunc(slices.Clone(rows), func(row *oracleRow) bool {
		return row.Second < windows.W10m.Start(tick) || row.Second >= tick
	})
}

// lookers returns the rules whose keys, or whose members, the targets of a
// consequence are; some is false where a target may come from elsewhere.
func (o *oracle) lookers(r *rules.Rule, c *rules.Consequence) (lookers []*rules.Rule, some bool) {
	members := c.Members(r.Key)
	fields := union(r.Key, members)
	if !slices.Equal(dims(r, c), fields) {
		return nil, false
	}
	for _, by := range o.rules {
		if len(members) == 0 && slices.Equal(by.Key, fields) {
			lookers = append(lookers, by)
		}
		for i := range by.Then {
			d := &by.Then[i]
			others := d.Members(by.Key)
			own := slices.Equal(dims(by, d), union(by.Key, others))
			if len(members) > 0 {
				if slices.Equal(by.Key, r.Key) && slices.Equal(others, members) {
					lookers = append(lookers, by)
				}
				continue
			}
			if !own && slices.Equal(dims(by, d), fields) || slices.Equal(who(by, d), fields) {
				return nil, false
			}
		}
		if len(members) == 0 && len(fields) == 1 && sees(by, fields[0]) {
			return nil, false
		}
	}
	return lookers, true
}

// dims returns the fields of a consequence's target.
func dims(r *rules.Rule, c *rules.Consequence) []event.Field {
	if len(c.Dims) == 0 {
		return r.Key
	}
	return c.Dims
}

// who returns the part of a target that says who, where all that a rule sees of
// it vouches for nobody.
func who(r *rules.Rule, c *rules.Consequence) []event.Field {
	const proves = ^uint32(1<<event.Signup | 1<<event.Reset | 1<<event.Balance | 1<<event.Checkout | 1<<event.Giftcard | 1<<event.Transfer)
	where := []event.Field{
		event.FieldSite, event.FieldMethod, event.FieldPath, event.FieldQuery, event.FieldEndpoint, event.FieldKind,
		event.FieldItem, event.FieldStatus, event.FieldProtocol, event.FieldDeprecated,
	}
	fields := dims(r, c)
	if r.Where.Kinds&proves != 0 || !slices.Contains(fields, event.FieldEndpoint) && !slices.Contains(fields, event.FieldKind) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(fields), func(f event.Field) bool { return slices.Contains(where, f) })
}

// sees reports whether a rule asks whether values of a field were seen.
func sees(r *rules.Rule, f event.Field) bool {
	if slices.Contains(r.Where.Standing[rules.Seen], f) {
		return true
	}
	return slices.ContainsFunc(aggregatesOf(r), func(a rules.Aggregate) bool {
		return a.Cond != nil && slices.Contains(a.Cond.Standing[rules.Seen], f) || a.Of != nil && slices.Contains(a.Of.Standing[rules.Seen], f)
	})
}
