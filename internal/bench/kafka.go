package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
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

	memory = 1 << 30 // state.memory's default
)

// floors are how many events a second the whole pipeline must take from each
// broker on two processors, in the better one of two runs.
var floors = map[string]int{"kfake": 150_000, "local": 200_000}

// topics measures a topic read through the source and the whole pipeline with
// the rules that ship: once from kfake, a broker that shares the processors
// with weir, and once from one that has the same compressed batches in memory
// and does nothing but hand them out (see cannedBroker). Each is also read
// without a pipeline behind it, which shows what the broker and the source can
// do at most. It returns an error where the pipeline is slower than it must be.
func topics(out io.Writer, dir string, lines int, densities string) error {
	load, err := os.ReadFile("/proc/loadavg") // what others have of the processors, the figures lack
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d processors, %s, load %.4s, %s lines in %d partitions, lz4; the broker, the source and the engine are one process\n",
		runtime.NumCPU(), runtime.Version(), load, thousands(lines), partitions)
	var slow []string
	for density := range strings.SplitSeq(densities, ",") {
		var d float64
		if _, err := fmt.Sscan(density, &d); err != nil {
			return fmt.Errorf("-densities %s: %w", density, err)
		}
		best, err := topic(out, filepath.Join(dir, "kafka-"+density), lines, d)
		if err != nil {
			return err
		}
		for _, broker := range slices.Sorted(maps.Keys(floors)) {
			if got, least := best[broker], floors[broker]; got < least {
				slow = append(slow, fmt.Sprintf("%s events/s from %s at a density of %s, must be at least %s",
					thousands(got), broker, density, thousands(least)))
			}
		}
	}
	if len(slow) > 0 {
		return fmt.Errorf("too slow: %s", strings.Join(slow, "; "))
	}
	return nil
}

// topic measures one log and returns the events a second of the whole pipeline
// from each broker.
func topic(out io.Writer, dir string, lines int, density float64) (best map[string]int, err error) {
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topicName), kfake.DataDir(dir))
	if err != nil {
		return nil, fmt.Errorf("kfake: %w", err)
	}
	defer func() {
		k.Close()
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	truth, size, err := produce(k.ListenAddrs(), lines, density)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "\n%.0f events a second of event time, %d bytes a line, %s addresses\n", density, size/int64(lines), thousands(truth.Addresses))
	best = map[string]int{}
	if best["kfake"], err = measureTopic(out, "kfake", k.ListenAddrs(), lines, 0); err != nil {
		return nil, err
	}
	local, err := record(k.ListenAddrs())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, local.close()) }()
	k.Close()
	fmt.Fprintf(out, "  %d MiB of batches, %d bytes a line, %d lines a batch, are local now and part of the memory\n",
		local.bytes>>20, local.bytes/int64(lines), lines/local.batches)
	best["local"], err = measureTopic(out, "local", local.addrs(), lines, local.bytes)
	return best, err
}

// measureTopic reads the topic twice without and twice with a pipeline. It
// returns the events a second of the better run with one.
func measureTopic(out io.Writer, name string, addrs []string, lines int, held int64) (best int, err error) {
	for _, c := range []struct {
		what  string
		run   func(*ingest.Topic) (pipeline.Summary, error)
		whole bool
	}{{"source only", drain, false}, {"source only", drain, false}, {"whole pipeline", engine, true}, {"whole pipeline", engine, true}} {
		runtime.GC()
		debug.FreeOSMemory()
		resetPeak()
		begin, cpu := time.Now(), cpuTime()
		src, err := ingest.OpenTopic(context.Background(), ingest.TopicConfig{
			Name: "bench", Client: []kgo.Opt{kgo.SeedBrokers(addrs...)}, Topic: topicName, Start: "begin", UntilEnd: true,
		})
		if err != nil {
			return 0, err
		}
		sum, err := c.run(src)
		took, used := time.Since(begin), cpuTime()-cpu
		if err := errors.Join(err, src.Close()); err != nil {
			return 0, err
		}
		if sum.Events != int64(lines) {
			return 0, fmt.Errorf("%s, %s: %d lines of %d", name, c.what, sum.Events, lines)
		}
		speed := int(float64(lines) / took.Seconds())
		fmt.Fprintf(out, "  %-24s %12s events/s   %.2f µs of processor an event, peak RSS %d MiB", c.what+", "+name,
			thousands(speed), float64(used.Microseconds())/float64(lines), (peakRSS()-held)>>20)
		if c.whole {
			best = max(best, speed)
			fmt.Fprintf(out, ", %s keys in %d MiB", thousands(int(sum.Keys)), sum.Bytes>>20)
			if sum.Shed != (rules.Shed{}) {
				fmt.Fprintf(out, ", SHED %+v", sum.Shed)
			}
		}
		fmt.Fprintln(out)
	}
	return best, nil
}

// drain reads all partitions at once and counts their lines.
func drain(src *ingest.Topic) (pipeline.Summary, error) {
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
	return pipeline.Summary{Tally: pipeline.Tally{Events: lines.Load()}}, errors.Join(errs...)
}

// engine runs the whole pipeline with the rules that ship.
func engine(src *ingest.Topic) (sum pipeline.Summary, err error) {
	key := event.FixedKey()
	rs, err := rules.LoadFS(rulesets.FS, ".", rules.Options{})
	if err != nil {
		return sum, err
	}
	plan, err := rules.NewPlan(rs, key, rules.PlanOptions{})
	if err != nil {
		return sum, err
	}
	tables, err := enrich.New(enrich.Config{Key: key})
	if err != nil {
		return sum, err
	}
	decode, err := ingest.New(ingest.Config{Format: testkit.NginxJSON, Key: key})
	if err != nil {
		return sum, err
	}
	s := pipeline.Source{Source: src, Decode: decode, Disorder: 2 * time.Second, MaxLateness: time.Hour}
	s.Enrich.Reads = plan.Reads
	return pipeline.Run(context.Background(), pipeline.Config{
		Sources: []pipeline.Source{s}, Enrich: tables, Plan: plan, Ceiling: event.Enforce, Memory: memory,
	})
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
	truth, err := testkit.WriteLog(w, logOptions(testkit.NginxJSON, lines, density))
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
