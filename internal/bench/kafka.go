package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/enrich"
	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
	"weir/rulesets"
)

const (
	topicName  = "access"
	partitions = 12
	bunch      = 500 // lines that a shipper sends to one partition before it goes on to the next
)

// topics measures a topic read through the source and the whole pipeline with
// the rules that ship: once from kfake, a broker that shares the processors
// with weir, and once from one that has the same compressed batches in memory
// and does nothing but hand them out (see cannedBroker). Each is also read
// without a pipeline behind it, which shows what the broker and the source can
// do at most.
func topics(out io.Writer, dir string, lines int, densities string) error {
	load, err := os.ReadFile("/proc/loadavg") // what others have of the processors, the figures lack
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d processors, %s, load %.4s, %s lines in %d partitions, lz4; the broker, the source and the engine are one process\n",
		runtime.NumCPU(), runtime.Version(), load, thousands(lines), partitions)
	for density := range strings.SplitSeq(densities, ",") {
		var d float64
		if _, err := fmt.Sscan(density, &d); err != nil {
			return fmt.Errorf("-densities %s: %w", density, err)
		}
		if err := topic(out, filepath.Join(dir, "kafka-"+density), lines, d); err != nil {
			return err
		}
	}
	return nil
}

// topic measures one log.
func topic(out io.Writer, dir string, lines int, density float64) (err error) {
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topicName), kfake.DataDir(dir))
	if err != nil {
		return fmt.Errorf("kfake: %w", err)
	}
	defer func() {
		k.Close()
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	truth, size, err := produce(k.ListenAddrs(), lines, density)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%.0f events a second of event time, %d bytes a line, %s addresses\n", density, size/int64(lines), thousands(truth.Addresses))
	if err := measureTopic(out, "kfake", k.ListenAddrs(), lines, 0); err != nil {
		return err
	}
	local, err := record(k.ListenAddrs())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, local.close()) }()
	k.Close()
	fmt.Fprintf(out, "  %d MiB of batches, %d bytes a line, %d lines a batch, are local now and part of the memory\n",
		local.bytes>>20, local.bytes/int64(lines), lines/local.batches)
	return measureTopic(out, "local", local.addrs(), lines, local.bytes)
}

// measureTopic reads the topic twice without and twice with a pipeline.
func measureTopic(out io.Writer, name string, addrs []string, lines int, held int64) error {
	for _, c := range []struct {
		what string
		run  func(*ingest.Topic) (int64, error)
	}{{"source only", drain}, {"source only", drain}, {"whole pipeline", engine}, {"whole pipeline", engine}} {
		runtime.GC()
		debug.FreeOSMemory()
		resetPeak()
		begin, cpu := time.Now(), cpuTime()
		src, err := ingest.OpenTopic(context.Background(), ingest.TopicConfig{
			Name: "bench", Client: []kgo.Opt{kgo.SeedBrokers(addrs...)}, Topic: topicName, Start: "begin", UntilEnd: true,
		})
		if err != nil {
			return err
		}
		n, err := c.run(src)
		took, used := time.Since(begin), cpuTime()-cpu
		if err := errors.Join(err, src.Close()); err != nil {
			return err
		}
		if n != int64(lines) {
			return fmt.Errorf("%s, %s: %d lines of %d", name, c.what, n, lines)
		}
		fmt.Fprintf(out, "  %-24s %12s events/s   %.2f µs of processor an event, peak RSS %d MiB\n", c.what+", "+name,
			thousands(int(float64(n)/took.Seconds())), float64(used.Microseconds())/float64(n), (peakRSS()-held)>>20)
	}
	return nil
}

// drain reads all partitions at once and counts their lines.
func drain(src *ingest.Topic) (int64, error) {
	var wg sync.WaitGroup
	var lines atomic.Int64
	errs := make([]error, src.Partitions())
	for p := range errs {
		wg.Go(func() {
			var r ingest.Records
			for {
				r.Reset()
				err := src.Read(context.Background(), p, 1000, &r)
				if err != nil {
					if !errors.Is(err, io.EOF) {
						errs[p] = err
					}
					return
				}
				lines.Add(int64(r.Len()))
			}
		})
	}
	wg.Wait()
	return lines.Load(), errors.Join(errs...)
}

// engine runs the whole pipeline with the rules that ship.
func engine(src *ingest.Topic) (int64, error) {
	key := event.FixedKey()
	rs, err := rules.LoadFS(rulesets.FS, ".", rules.Options{})
	if err != nil {
		return 0, err
	}
	plan, err := rules.NewPlan(rs, key, rules.PlanOptions{})
	if err != nil {
		return 0, err
	}
	tables, err := enrich.New(enrich.Config{Key: key})
	if err != nil {
		return 0, err
	}
	decode, err := ingest.New(ingest.Config{Format: testkit.NginxJSON, Key: key})
	if err != nil {
		return 0, err
	}
	s := pipeline.Source{Source: src, Decode: decode, Disorder: 2 * time.Second, MaxLateness: time.Hour}
	s.Enrich.Reads = plan.Reads
	sum, err := pipeline.Run(context.Background(), pipeline.Config{
		Sources: []pipeline.Source{s}, Enrich: tables, Plan: plan, Ceiling: event.Enforce, Memory: 8 << 30,
	})
	return sum.Events, err
}

// produce writes a log into the topic, a bunch of lines to one partition after
// the other, as shippers do that fill a batch before they choose the next.
func produce(addrs []string, lines int, density float64) (*testkit.Truth, int64, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addrs...), kgo.DefaultProduceTopic(topicName), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.ProducerLinger(5*time.Millisecond), kgo.MaxBufferedRecords(100_000))
	if err != nil {
		return nil, 0, fmt.Errorf("kafka client: %w", err)
	}
	defer cl.Close()
	w := &shipper{cl: cl}
	truth, err := testkit.WriteLog(w, testkit.LogOptions{Seed: 1, Lines: lines, Density: density, Format: testkit.NginxJSON})
	if err == nil {
		err = cl.Flush(context.Background())
	}
	if failed := w.failed.Load(); err == nil && failed != nil {
		err = *failed
	}
	return truth, w.size, err
}

// shipper is a writer whose lines become records.
type shipper struct {
	cl     *kgo.Client
	rest   []byte // a line that has not ended
	lines  int
	size   int64
	failed atomic.Pointer[error]
}

func (s *shipper) Write(b []byte) (int, error) {
	s.rest = append(s.rest, b...)
	data := bytes.Clone(s.rest) // records keep it until they are sent
	for {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			s.rest = append(s.rest[:0], data...)
			return len(b), nil
		}
		s.cl.Produce(context.Background(), &kgo.Record{Value: data[:i], Partition: int32(s.lines / bunch % partitions)}, func(_ *kgo.Record, err error) {
			if err != nil {
				s.failed.Store(&err)
			}
		})
		s.lines++
		s.size += int64(i)
		data = data[i+1:]
	}
}
