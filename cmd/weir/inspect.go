package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weir/archive"
	"weir/event"
	"weir/ingest"
)

// inspectOptions are the flags of weir inspect.
type inspectOptions struct {
	config, format string
	lines          int64
	json           bool
	files          []string
}

func inspectCommand(e *environment) *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:   "inspect [-c weir.yaml] FILE…",
		Short: "Show what weir reads in a log: format, fields, endpoints, and which rules can work",
		Long: "inspect reads the beginning of recorded logs and says what weir makes of them: the\n" +
			"format, lines that cannot be read and why, how much of each field is filled, whether the\n" +
			"addresses are those of clients or of a proxy, what the endpoints are for, and which rules\n" +
			"can work with that and which are blind. It changes nothing and keeps nothing.",
		Example: "  weir inspect access.log\n  weir inspect --lines 0 '/var/log/nginx/access.log*'",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("no file given (weir inspect FILE…)")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.files = args
			return e.inspect(cmd.Context(), &o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", "", "configuration; its first source says how the lines are read")
	f.StringVar(&o.format, "format", "", "format of the lines, instead of guessing it or taking the source's")
	f.Int64Var(&o.lines, "lines", 200_000, "how many lines to read at most, from the beginning of each log alike; 0: all")
	f.BoolVar(&o.json, "json", false, "print everything as one JSON object")
	return cmd
}

func (e *environment) inspect(ctx context.Context, o *inspectOptions) error {
	if o.lines < 0 {
		return usagef("--lines %d: must not be negative", o.lines)
	}
	if i := slices.IndexFunc(o.files, archive.IsArchive); i >= 0 || len(archiveFiles(o.files)) > 0 {
		return usagef("%s: these are events of an archive, which weir has read already; weir replay %s runs the rules over them", o.files[max(i, 0)], o.files[max(i, 0)])
	}
	quiet := *e // what prepare would log stands in the report
	quiet.log = slog.New(slog.DiscardHandler)
	p, err := quiet.prepare(ctx, o.config, o.format, o.files, nil, false)
	if err != nil {
		return withPatternHelp(err, o)
	}
	defer p.close()
	s := newSurvey(p, o)
	if err := s.sample(ctx); err != nil {
		return err
	}
	stop := showProgress(e.errOut, p.source.Source)
	err = s.read(ctx, o.lines)
	stop()
	if err != nil {
		return err
	}
	found := s.result(o)
	if o.json {
		b, err := json.MarshalIndent(found, "", "  ")
		if err != nil {
			return fmt.Errorf("inspect: %w", err)
		}
		if _, err := e.out.Write(append(b, '\n')); err != nil {
			return fmt.Errorf("inspect: %w", err)
		}
	} else if err := found.print(e.out); err != nil {
		return fmt.Errorf("inspect: %w", err)
	}
	if found.Lines.Events == 0 {
		if len(found.Rejected) > 0 {
			return noneRead(p.format, found.Rejected[0].Reason)
		}
		return fmt.Errorf("no line could be read as %s", p.format)
	}
	return nil
}

// patternHelp says how to read a log whose format has no name.
const patternHelp = `if none of them is right, say what a line looks like in weir.yaml and name it with -c:
  sources:
    - name: web
      pattern: '<ip> - <credential> [<time>] "<request>" <status> <bytes> "<referer>" "<agent>"'
what belongs to no field is <_>. Lines of JSON with names of their own need format: json and
fields: {ip: remote_addr, uri: request_uri, …}; IIS and CloudFront logs without a #Fields: line
need format: w3c and columns: [date, time, …]. --format tries one of the formats that have a name`

// withPatternHelp adds to the sentence that a format was not guessed what can
// be done about it.
func withPatternHelp(err error, o *inspectOptions) error {
	var broken *ingest.ErrSource
	if o.config != "" || o.format != "" || errors.Is(err, errUsage) || errors.Is(err, context.Canceled) || errors.As(err, &broken) {
		return err
	}
	return fmt.Errorf("%w\n%s", err, patternHelp)
}

// sampleLines is how many lines from the beginning say how well a format fits.
const sampleLines = 200

// sample finds out how many of the first lines the format reads.
func (s *survey) sample(ctx context.Context) error {
	src, ok := s.p.source.Source.(*ingest.Peeked)
	if !ok {
		src = ingest.Peek(s.p.source.Source)
		s.p.source.Source = src
	}
	for part := range src.Partitions() {
		lines, err := src.Lines(ctx, part, sampleLines)
		if err != nil {
			return err
		}
		if len(lines) == 0 {
			continue
		}
		var ev event.Event
		var mem event.Arena
		for _, line := range lines[:min(len(lines), sampleLines)] {
			ev.Reset()
			mem.Reset()
			switch err := s.p.source.Decode(line, &ev, &mem); {
			case errors.Is(err, ingest.ErrDirective):
				continue
			case err == nil:
				s.sampleRead++
			}
			s.sampled++
		}
		return nil
	}
	return fmt.Errorf("%s: no line to read in it", strings.Join(s.files, " "))
}

// unreadLines is in how many lines keys are looked for that weir does not read.
const unreadLines = 1000

// batchLines is how many lines are read at a time.
const batchLines = 1000

// read reads up to limit lines, of each partition alike; 0 is no limit.
func (s *survey) read(ctx context.Context, limit int64) error {
	src := s.p.source.Source
	parts := int64(src.Partitions())
	for part := range src.Partitions() {
		left := int64(1) << 62
		if limit > 0 {
			left = (limit + parts - 1) / parts
		}
		s.clock = newOrder(&s.times)
		for left > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			s.recs.Reset()
			err := src.Read(ctx, part, int(min(left, batchLines)), &s.recs)
			s.add(&s.recs)
			left -= int64(s.recs.Len() + s.recs.TooLong)
			var broken *ingest.ErrSource
			switch {
			case errors.Is(err, io.EOF):
				left = 0
			case errors.As(err, &broken):
				s.broken = append(s.broken, broken.Error())
			case err != nil:
				return err
			case left <= 0:
				s.cut = true
			}
		}
		s.clock.finish()
	}
	return nil
}

// add looks at a run of records.
func (s *survey) add(r *ingest.Records) {
	src := &s.p.source
	s.batch.Reset()
	s.lines += int64(r.Len() + r.TooLong)
	if r.TooLong > 0 {
		s.reject(ingest.ErrTooLong, nil, int64(r.TooLong))
	}
	for i := range r.Len() {
		ev := s.batch.Next()
		if err := src.Decode(r.Line(i), ev, &s.batch.Arena); err != nil {
			s.batch.Drop()
			s.reject(err, r.Line(i), 1)
			continue
		}
		if s.unread != nil && s.unreadLines < unreadLines {
			s.unreadLines++
			s.unread.Add(r.Line(i))
		}
		if ev.Forwarded != "" {
			s.addresses.forwarded++
		}
	}
	s.worker.Enrich(&s.batch)
	facts := ofStrangers(s.lookups)
	for i := range s.batch.Events {
		ev := &s.batch.Events[i]
		if src.Only != nil && !src.Only.Match(ev, &facts) {
			s.filtered++
			continue
		}
		s.events++
		s.clock.add(ev.Time)
		filled := s.fields.add(ev)
		s.addresses.add(ev)
		s.endpoints.add(ev, s.worker)
		for _, r := range s.rules {
			r.add(ev, filled, &facts)
		}
	}
}
