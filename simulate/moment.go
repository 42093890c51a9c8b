package simulate

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Moment is a time of a scenario: "day 4 02:30", where day 1 is the first one.
type Moment int64

// UnmarshalYAML reads a moment.
func (m *Moment) UnmarshalYAML(n ast.Node) error {
	text := n.GetToken().Value
	number, clock, _ := strings.Cut(strings.TrimPrefix(text, "day "), " ")
	d, err := strconv.Atoi(number)
	if !strings.HasPrefix(text, "day ") || err != nil || d < 1 || d > maxDays {
		return wrong(n, "%q, must be like \"day 4 02:30\", the day from 1 to %d", text, maxDays)
	}
	at := int64(d-1) * day
	if clock != "" {
		t, err := time.Parse("15:04:05", clock)
		if err != nil {
			t, err = time.Parse("15:04", clock)
		}
		if err != nil {
			return wrong(n, "%q, must be like \"day 4 02:30\" or \"day 4 02:30:15\"", text)
		}
		at += int64(t.Hour())*hour + int64(t.Minute())*minute + int64(t.Second())*second
	}
	*m = Moment(at)
	return nil
}

// Span is a duration: 90s, 5h, 7d.
type Span int64

// UnmarshalYAML reads a span.
func (s *Span) UnmarshalYAML(n ast.Node) error {
	text := n.GetToken().Value
	if days, ok := strings.CutSuffix(text, "d"); ok {
		d, err := strconv.Atoi(days)
		if err != nil || d < 0 || d > maxDays {
			return wrong(n, "%q, must be from 0d to %dd", text, maxDays)
		}
		*s = Span(int64(d) * day)
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || int64(d) > maxDays*day {
		return wrong(n, "%q, must be a duration such as 90s, 5h or 7d", text)
	}
	*s = Span(d)
	return nil
}

// wrong makes an error that knows where it is.
func wrong(n ast.Node, format string, args ...any) error {
	return &yaml.SyntaxError{Message: fmt.Sprintf(format, args...), Token: n.GetToken()}
}
