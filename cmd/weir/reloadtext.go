package main

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"weir/event"
	"weir/pipeline"
	"weir/rules"
)

// onlyRulesDiffer reports what else than rules and their stages another
// configuration changes: that takes a restart.
func (l *liveRun) onlyRulesDiffer(g *engine) (err error) {
	was, now := *l.cfg, *g.cfg
	for _, part := range []struct {
		name     string
		was, now any
	}{
		{"sources", was.Sources, now.Sources}, {"site", was.Site, now.Site}, {"enrich", was.Enrich, now.Enrich},
		{"key_file", was.KeyFile, now.KeyFile}, {"state", was.State, now.State}, {"archive", was.Archive, now.Archive},
		{"points", was.Points, now.Points}, {"protect", was.Protect, now.Protect}, {"api", was.API, now.API},
	} {
		if !reflect.DeepEqual(part.was, part.now) {
			err = errors.Join(err, fmt.Errorf("%s: changed, which takes a restart; only rules: and stage: can be reloaded", part.name))
		}
	}
	if err == nil && !bytes.Equal(l.taken.files[siteFile], g.taken.files[siteFile]) {
		err = errors.New("site: the file changed, which takes a restart; only rules: and stage: can be reloaded")
	}
	return err
}

// describeReload says what other rules are, and from when on what they read is
// complete.
func describeReload(was, now *engine, tick int64) string {
	old := map[string]*rules.Rule{}
	for _, r := range was.rules {
		old[r.ID] = r
	}
	var added, changed, warming []string
	same := 0
	for i, r := range now.plan.Rules {
		o := old[r.ID]
		delete(old, r.ID)
		switch {
		case o == nil:
			added = append(added, r.ID)
		case o.Hash() != r.Hash():
			changed = append(changed, r.ID)
		default:
			same++
		}
		if from := now.plan.Complete(i); from > tick {
			warming = append(warming, fmt.Sprintf("  %s from %s on", r.ID, time.Unix(from, 0).UTC().Format(time.RFC3339)))
		}
	}
	var removed []string
	for _, r := range was.plan.Rules {
		if old[r.ID] != nil {
			removed = append(removed, r.ID)
		}
	}
	var b strings.Builder
	decide := "decide"
	if len(now.rules) == 1 {
		decide = "decides"
	}
	fmt.Fprintf(&b, "%s %s from %s on; %d as before", several(len(now.rules), "rule"), decide, time.Unix(tick, 0).UTC().Format(time.RFC3339), same)
	for _, part := range []struct {
		what string
		ids  []string
	}{
		{"new", added}, {"changed", changed}, {"gone", removed}, {"stages", stagesThatDiffer(was, now)},
		{"other tables (what they protect stays as it was until a restart)", sameTables(was.taken.said.Tables, now.taken.said.Tables)},
	} {
		if len(part.ids) > 0 {
			fmt.Fprintf(&b, "\n%s: %s", part.what, strings.Join(part.ids, ", "))
		}
	}
	if len(warming) > 0 {
		fmt.Fprintf(&b, "\nwhat these read is complete later (their counts are too low until then):\n%s", strings.Join(warming, "\n"))
	}
	return b.String()
}

// stagesThatDiffer says which rules do more or less than they did, for whatever
// reason: their own stage, what the operator allows them, or the ceiling.
func stagesThatDiffer(was, now *engine) (differ []string) {
	before := map[string]event.Stage{}
	for _, r := range was.rules {
		before[r.ID] = was.stageOf(r)
	}
	for _, r := range now.rules {
		if old, ok := before[r.ID]; ok && len(r.Then) > 0 && old != now.stageOf(r) {
			differ = append(differ, fmt.Sprintf("%s: %s -> %s", r.ID, old, now.stageOf(r)))
		}
	}
	return differ
}

// stageOf returns the stage that a rule has in a run.
func (g *engine) stageOf(r *rules.Rule) event.Stage {
	c := pipeline.Config{Ceiling: g.ceiling(event.Shadow), Stages: g.stages}
	return min(r.Stage, c.Stage(r.ID))
}
