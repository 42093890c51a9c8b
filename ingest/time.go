package ingest

import (
	"slices"
	"strings"
	"time"

	"weir/event"
)

// The layouts in which a time may be written. "" tells them apart by shape,
// and a layout of package time (it holds "2006") is taken as it is.
const (
	LayoutCLF     = "clf"     // 02/Jan/2006:15:04:05 -0700; with a fraction, and without a zone in UTC, as HAProxy writes it
	LayoutRFC3339 = "rfc3339" // 2006-01-02T15:04:05.999Z
	LayoutISO     = "iso"     // the same with a space for T, the zone as +0000 or none, which is UTC
	LayoutUnix    = "unix"    // seconds, also 1700000000.123
	LayoutUnixMs  = "unix_ms"
	LayoutUnixUs  = "unix_us"
	LayoutUnixNs  = "unix_ns"
)

var layouts = []string{LayoutCLF, LayoutRFC3339, LayoutISO, LayoutUnix, LayoutUnixMs, LayoutUnixUs, LayoutUnixNs}

// maxSecond is the end of 2261, the last year that nanoseconds in an int64 hold whole.
const maxSecond = 9214646400

// knownLayout reports whether ParseTime reads the layout.
func knownLayout(layout string) bool {
	if layout == "" || strings.Contains(layout, "2006") {
		return true
	}
	return slices.Contains(layouts, layout)
}

// ParseTime reads a time as Unix nanoseconds. A time outside the years 1970 to
// 2261 is none.
func ParseTime(layout string, b []byte) (ns int64, ok bool) {
	switch layout {
	case "":
		return guessTime(b)
	case LayoutCLF:
		return parseCLF(b)
	case LayoutRFC3339:
		return parseISO(b, true)
	case LayoutISO:
		return parseISO(b, false)
	case LayoutUnix:
		return parseUnix(b, 9)
	case LayoutUnixMs:
		return parseUnix(b, 6)
	case LayoutUnixUs:
		return parseUnix(b, 3)
	case LayoutUnixNs:
		return parseUnix(b, 0)
	}
	t, err := time.Parse(layout, event.View(b))
	if err != nil || t.Unix() < 0 || t.Unix() >= maxSecond {
		return 0, false
	}
	return t.UnixNano(), true
}

// guessTime tells the layouts apart by shape: numbers by how many digits they
// have, which is unambiguous from 1973 on.
func guessTime(b []byte) (int64, bool) {
	if len(b) < 5 {
		return 0, false
	}
	if b[2] == '/' {
		return parseCLF(b)
	}
	if b[4] == '-' {
		return parseISO(b, false)
	}
	digits := 0
	for digits < len(b) && isDigit(b[digits]) {
		digits++
	}
	switch {
	case digits <= 11:
		return parseUnix(b, 9)
	case digits <= 14:
		return parseUnix(b, 6)
	case digits <= 17:
		return parseUnix(b, 3)
	}
	return parseUnix(b, 0)
}

// parseCLF reads 02/Jan/2006:15:04:05 with a fraction or not, and a zone
// (-0700) or none.
func parseCLF(b []byte) (int64, bool) {
	if len(b) < 20 || b[2] != '/' || b[6] != '/' || b[11] != ':' {
		return 0, false
	}
	day, ok1 := two(b[0:])
	month := monthOf(b[3:6])
	century, ok2 := two(b[7:])
	year, ok3 := two(b[9:])
	if !ok1 || !ok2 || !ok3 || month == 0 {
		return 0, false
	}
	sec, ok := clock(century*100+year, month, day, b[12:20])
	if !ok {
		return 0, false
	}
	frac, rest, ok := fraction(b[20:])
	if !ok {
		return 0, false
	}
	if len(rest) > 0 {
		if len(rest) != 6 || rest[0] != ' ' {
			return 0, false
		}
		shift, ok := offset(rest[1:])
		if !ok {
			return 0, false
		}
		sec -= shift
	}
	return nanos(sec, frac)
}

// parseISO reads 2006-01-02T15:04:05 with a fraction or not, and a zone. If
// strict, it is RFC 3339; else a space may stand for the T and the zone may
// lack its colon or be missing.
func parseISO(b []byte, strict bool) (int64, bool) {
	if len(b) < 19 || b[4] != '-' || b[7] != '-' || (b[10] != 'T' && (strict || b[10] != ' ')) {
		return 0, false
	}
	century, ok1 := two(b[0:])
	year, ok2 := two(b[2:])
	month, ok3 := two(b[5:])
	day, ok4 := two(b[8:])
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return 0, false
	}
	sec, ok := clock(century*100+year, month, day, b[11:19])
	if !ok {
		return 0, false
	}
	frac, rest, ok := fraction(b[19:])
	if !ok {
		return 0, false
	}
	switch {
	case len(rest) == 1 && rest[0] == 'Z', len(rest) == 0 && !strict:
	case len(rest) == 6 && rest[3] == ':':
		shift, ok := offset([]byte{rest[0], rest[1], rest[2], rest[4], rest[5]})
		if !ok {
			return 0, false
		}
		sec -= shift
	case len(rest) == 5 && !strict:
		shift, ok := offset(rest)
		if !ok {
			return 0, false
		}
		sec -= shift
	default:
		return 0, false
	}
	return nanos(sec, frac)
}

// parseUnix reads a whole or decimal number of units of 10^scale nanoseconds.
// Digits below a nanosecond are left out.
func parseUnix(b []byte, scale int) (int64, bool) {
	var n int64
	i := 0
	for ; i < len(b) && isDigit(b[i]); i++ {
		if n > maxSecond*1e8 {
			return 0, false
		}
		n = n*10 + int64(b[i]-'0')
	}
	if i == 0 {
		return 0, false
	}
	frac, point := b[i:], false
	if len(frac) > 0 {
		if point = frac[0] == '.'; !point || len(frac) == 1 {
			return 0, false
		}
		frac = frac[1:]
	}
	for ; scale > 0; scale-- {
		if n > maxSecond*1e8 {
			return 0, false
		}
		n *= 10
		if len(frac) > 0 {
			if !isDigit(frac[0]) {
				return 0, false
			}
			n += int64(frac[0] - '0')
			frac = frac[1:]
		}
	}
	for _, c := range frac {
		if !isDigit(c) {
			return 0, false
		}
	}
	return n, n/1e9 < maxSecond
}

// clock returns the Unix second of a date and hh:mm:ss.
func clock(year, month, day int, b []byte) (sec int64, ok bool) {
	h, ok1 := two(b[0:])
	m, ok2 := two(b[3:])
	s, ok3 := two(b[6:])
	if !ok1 || !ok2 || !ok3 || b[2] != ':' || b[5] != ':' || h > 23 || m > 59 || s > 59 {
		return 0, false
	}
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, false
	}
	return days(year, month, day)*86400 + int64(h*3600+m*60+s), true
}

// days counts from 1 January 1970 (H. Hinnant, "chrono-Compatible Low-Level
// Date Algorithms"): years begin in March, so that the leap day is the last.
func days(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	yoe := year - era*400
	doy := (153*(month-3)+2)/5 + day - 1
	return int64(era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468)
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// monthOf returns the number of an English month's abbreviation, or 0.
func monthOf(b []byte) int {
	switch string(b) {
	case "Jan":
		return 1
	case "Feb":
		return 2
	case "Mar":
		return 3
	case "Apr":
		return 4
	case "May":
		return 5
	case "Jun":
		return 6
	case "Jul":
		return 7
	case "Aug":
		return 8
	case "Sep":
		return 9
	case "Oct":
		return 10
	case "Nov":
		return 11
	case "Dec":
		return 12
	}
	return 0
}

// fraction reads a decimal fraction of a second, if there is one, to the
// nanosecond, and returns what follows it.
func fraction(b []byte) (ns int64, rest []byte, ok bool) {
	if len(b) == 0 || (b[0] != '.' && b[0] != ',') {
		return 0, b, true
	}
	scale, i := int64(1e8), 1
	for ; i < len(b) && isDigit(b[i]); i++ {
		ns += int64(b[i]-'0') * scale
		scale /= 10
	}
	return ns, b[i:], i > 1
}

// offset reads +hhmm in seconds.
func offset(b []byte) (sec int64, ok bool) {
	h, ok1 := two(b[1:])
	m, ok2 := two(b[3:])
	if !ok1 || !ok2 || h > 23 || m > 59 {
		return 0, false
	}
	sec = int64(h*3600 + m*60)
	switch b[0] {
	case '-':
		return -sec, true
	case '+':
		return sec, true
	}
	return 0, false
}

func nanos(sec, frac int64) (int64, bool) {
	if sec < 0 || sec >= maxSecond {
		return 0, false
	}
	return sec*1e9 + frac, true
}

// two reads two digits.
func two(b []byte) (int, bool) {
	a, c := b[0]-'0', b[1]-'0'
	return int(a)*10 + int(c), a <= 9 && c <= 9
}

func isDigit(c byte) bool { return c-'0' <= 9 }
