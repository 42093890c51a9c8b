package emit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// rate is how often a limit lets somebody through.
type rate struct {
	count uint64
	n     uint64 // of unit
	unit  byte   // s, m, h or d
}

// maxRatePer is the longest time that a rate may be for.
const maxRatePer = 7 * 24 * time.Hour

// parseRate reads a rate as rules write it: a number of requests, and a whole
// number of seconds, minutes, hours or days.
func parseRate(s string) (r rate, err error) {
	bad := fmt.Errorf("%s is not a rate such as 10/1m", printable(s))
	n, per, ok := strings.Cut(s, "/")
	if !ok || len(per) < 2 || len(per) > 8 {
		return rate{}, bad
	}
	r.unit = per[len(per)-1]
	count, countErr := strconv.ParseUint(n, 10, 31)
	each, eachErr := strconv.ParseUint(per[:len(per)-1], 10, 32)
	r.count, r.n = count, each
	if errors.Join(countErr, eachErr) != nil || r.unitLength() == 0 || count == 0 {
		return rate{}, bad
	}
	if each == 0 || each > uint64(maxRatePer/r.unitLength()) {
		return rate{}, fmt.Errorf("%s is not a rate such as 10/1m: it must be for at least 1s and at most 7d", printable(s))
	}
	return r, nil
}

func (r rate) unitLength() time.Duration {
	switch r.unit {
	case 's':
		return time.Second
	case 'm':
		return time.Minute
	case 'h':
		return time.Hour
	case 'd':
		return 24 * time.Hour
	}
	return 0
}

// per returns the time that the rate is for.
func (r rate) per() time.Duration { return time.Duration(r.n) * r.unitLength() }

// String returns the rate as proxies read it, who know no days.
func (r rate) String() string {
	n, unit := r.n, r.unit
	if unit == 'd' {
		n, unit = n*24, 'h'
	}
	return strconv.FormatUint(r.count, 10) + "/" + strconv.FormatUint(n, 10) + string(unit)
}
