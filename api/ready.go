package api

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"weir/pipeline"
)

// The limits of readiness.
const (
	maxStatusAge = 10 * time.Second // the engine speaks once a second
	maxBehind    = time.Minute      // of a partition that has more to read
)

// Health is the answer of /healthz.
type Health struct {
	Status  string    `json:"status"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
}

// health says that the process answers; whether it does its work is what ready
// says. A process is not to be killed for a broker that is down.
func (a *Server) health(*http.Request) (any, error) {
	return Health{"ok", a.cfg.Version, a.cfg.Started.UTC()}, nil
}

// Readiness is the answer of /readyz.
type Readiness struct {
	Ready   bool     `json:"ready"`
	Reasons []string `json:"reasons"` // why not
}

func (a *Server) ready(*http.Request) (any, error) {
	reasons := a.reasons(a.cfg.Status(), a.cfg.Now())
	doc := Readiness{len(reasons) == 0, reasons}
	if !doc.Ready {
		return doc, refuse(http.StatusServiceUnavailable, "not ready")
	}
	return doc, nil
}

// reasons returns why what the lists hold may not be what the logs ask for.
func (a *Server) reasons(st *pipeline.Status, now time.Time) []string {
	reasons := []string{}
	if !a.cfg.Ledger.InForce().Well {
		reasons = append(reasons, "the ledger could not be read or written: nothing new comes into force (see the log, and the disk of state: dir:)")
	}
	absent := a.absent()
	for _, source := range slices.Sorted(maps.Keys(absent)) {
		reasons = append(reasons, fmt.Sprintf("source %s: there is no such log (%v): it is read when it comes", source, absent[source]))
	}
	if st == nil {
		return append(reasons, "the engine has not started reading yet")
	}
	if age := now.Sub(st.At); age > maxStatusAge {
		reasons = append(reasons, fmt.Sprintf("the engine has not said how it stands for %s", age.Round(time.Second)))
	}
	if why := unread(&st.Summary); why != "" {
		reasons = append(reasons, why)
	}
	reasons = append(reasons, unkept(st)...)
	for _, s := range summarise(st.Partitions) {
		if s.Lost > 0 {
			reasons = append(reasons, fmt.Sprintf("source %s: %d of %d partitions cannot be asked whether there is more", s.Name, s.Lost, s.Partitions))
		}
		if s.Behind.Partitions == 0 {
			continue
		}
		far := "and has not come to its first event"
		if !s.Behind.Watermark.IsZero() {
			if now.Sub(s.Behind.Watermark) <= maxBehind {
				continue
			}
			far = fmt.Sprintf("and is %s behind the clock", longText(now.Sub(s.Behind.Watermark)))
		}
		unit := "bytes"
		if s.Topic {
			unit = "records"
		}
		reasons = append(reasons, fmt.Sprintf("source %s is catching up: it has %d %s still to read %s", s.Name, s.Behind.Lag, unit, far))
	}
	return reasons
}

// longText writes how long something takes, in days where it is that long.
func longText(d time.Duration) string {
	if days := int64(d / (24 * time.Hour)); days >= 3 {
		return fmt.Sprintf("%d days", days)
	}
	return d.Round(time.Second).String()
}

// absent returns the sources without a log.
func (a *Server) absent() map[string]error {
	if a.cfg.Absent == nil {
		return nil
	}
	return a.cfg.Absent()
}

// directive is the reason of the lines that are comments of a log: no fault.
const directive = "directive"

// unread says that there are lines and none of them was an event, whatever came
// of it: they are not in the format that the configuration names.
func unread(s *pipeline.Summary) string {
	if s.Events+s.Dropped+s.Future > 0 {
		return ""
	}
	var total, most int64
	reason := ""
	for r, n := range s.Rejected {
		if r == directive {
			continue
		}
		total += n
		if n > most || n == most && r < reason {
			most, reason = n, r
		}
	}
	if total == 0 {
		return ""
	}
	return fmt.Sprintf("no line of the log could be read: %d rejected, most for %q (weir check says more)", total, reason)
}
