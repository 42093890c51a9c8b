package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sort"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// cannedBroker is a broker whose log is compressed batches in memory, as they
// once came from a real one. It answers only what a reader asks: versions,
// metadata, ends and fetches, over a socket of loopback. What it leaves out is
// what a broker costs: its storage, its bookkeeping, its scheduling. The client
// with its requests, checksums, unpacking and records, the source and the
// kernel's sockets are what they are with any other broker.
type cannedBroker struct {
	ln      net.Listener
	wg      sync.WaitGroup
	logs    [partitions][]batch
	bytes   int64
	batches int

	mu    sync.Mutex
	conns map[net.Conn]bool // nil: closed
}

// batch is a record batch as it is on the wire.
type batch struct {
	first, next int64
	data        []byte
}

// record copies the topic of a broker and serves it.
func record(addrs []string) (*cannedBroker, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addrs...))
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	defer cl.Close()
	meta := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = new(topicName)
	meta.Topics = append(meta.Topics, t)
	got, err := meta.RequestWith(context.Background(), cl)
	if err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	b := &cannedBroker{conns: make(map[net.Conn]bool)}
	for p := range b.logs {
		if err := b.record(cl, got, p); err != nil {
			return nil, fmt.Errorf("recording partition %d: %w", p, err)
		}
	}
	if b.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	b.wg.Go(b.accept)
	return b, nil
}

func (b *cannedBroker) record(cl *kgo.Client, meta *kmsg.MetadataResponse, p int) error {
	for next := int64(0); ; {
		req := kmsg.NewPtrFetchRequest()
		req.ReplicaID, req.MaxBytes, req.SessionEpoch = -1, 64<<20, -1
		topic := kmsg.NewFetchRequestTopic()
		topic.Topic, topic.TopicID = topicName, meta.Topics[0].TopicID
		part := kmsg.NewFetchRequestTopicPartition()
		part.Partition, part.FetchOffset, part.PartitionMaxBytes = int32(p), next, 32<<20
		topic.Partitions = append(topic.Partitions, part)
		req.Topics = append(req.Topics, topic)
		raw, err := cl.Broker(int(meta.Brokers[0].NodeID)).RetriableRequest(context.Background(), req)
		if err != nil {
			return err
		}
		topics := raw.(*kmsg.FetchResponse).Topics
		if len(topics) != 1 || len(topics[0].Partitions) != 1 {
			return errors.New("no answer")
		}
		got := &topics[0].Partitions[0]
		if err := kerr.ErrorForCode(got.ErrorCode); err != nil {
			return err
		}
		if next >= got.HighWatermark {
			return nil
		}
		in := got.RecordBatches
		for len(in) >= 27 {
			n := 12 + int(binary.BigEndian.Uint32(in[8:]))
			if n > len(in) {
				break
			}
			first := int64(binary.BigEndian.Uint64(in))
			next = first + int64(binary.BigEndian.Uint32(in[23:])) + 1
			b.logs[p] = append(b.logs[p], batch{first, next, in[:n:n]})
			b.bytes += int64(n)
			b.batches++
			in = in[n:]
		}
	}
}

func (b *cannedBroker) addrs() []string { return []string{b.ln.Addr().String()} }

func (b *cannedBroker) close() error {
	err := b.ln.Close()
	b.mu.Lock()
	for c := range b.conns {
		c.Close() // its goroutine sees why
	}
	b.conns = nil
	b.mu.Unlock()
	b.wg.Wait()
	return err
}

func (b *cannedBroker) accept() {
	for {
		conn, err := b.ln.Accept()
		if err != nil {
			return
		}
		b.mu.Lock()
		open := b.conns != nil
		if open {
			b.conns[conn] = true
		}
		b.mu.Unlock()
		if !open {
			conn.Close()
			return
		}
		b.wg.Go(func() {
			b.serve(conn)
			conn.Close()
		})
	}
}

// serve answers the requests of a connection, one after the other.
func (b *cannedBroker) serve(conn net.Conn) {
	var in, out []byte
	for {
		var size [4]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint32(size[:]))
		if n < 10 || n > 1<<20 {
			return
		}
		in = append(in[:0], make([]byte, n)...)
		if _, err := io.ReadFull(conn, in); err != nil {
			return
		}
		req := kmsg.RequestForKey(int16(binary.BigEndian.Uint16(in)))
		if req == nil {
			return
		}
		req.SetVersion(int16(binary.BigEndian.Uint16(in[2:])))
		body := in[10:]
		if name := int(int16(binary.BigEndian.Uint16(in[8:]))); name > 0 {
			body = body[name:]
		}
		if req.IsFlexible() {
			body = body[1:] // no tags
		}
		if err := req.ReadFrom(body); err != nil {
			return
		}
		resp := b.answer(req)
		if resp == nil {
			return
		}
		resp.SetVersion(req.GetVersion())
		out = append(out[:0], 0, 0, 0, 0, in[4], in[5], in[6], in[7])
		if req.IsFlexible() && req.Key() != int16(kmsg.ApiVersions) {
			out = append(out, 0)
		}
		out = resp.AppendTo(out)
		binary.BigEndian.PutUint32(out, uint32(len(out)-4))
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

func (b *cannedBroker) answer(req kmsg.Request) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.ApiVersionsRequest:
		resp := req.ResponseKind().(*kmsg.ApiVersionsResponse)
		resp.ApiKeys = append(resp.ApiKeys, []kmsg.ApiVersionsResponseApiKey{
			{ApiKey: int16(kmsg.Fetch), MinVersion: 4, MaxVersion: 12}, // from 13 on topics have no names
			{ApiKey: int16(kmsg.ListOffsets), MinVersion: 1, MaxVersion: 6},
			{ApiKey: int16(kmsg.Metadata), MinVersion: 1, MaxVersion: 9},
			{ApiKey: int16(kmsg.ApiVersions), MinVersion: 0, MaxVersion: 3},
		}...)
		return resp
	case *kmsg.MetadataRequest:
		return b.metadata(req)
	case *kmsg.ListOffsetsRequest:
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, t := range req.Topics {
			topic := kmsg.NewListOffsetsResponseTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				part := kmsg.NewListOffsetsResponseTopicPartition()
				part.Partition = p.Partition
				if p.Timestamp == -1 {
					part.Offset = b.end(p.Partition)
				} else {
					part.Offset = 0
				}
				topic.Partitions = append(topic.Partitions, part)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp
	case *kmsg.FetchRequest:
		return b.fetch(req)
	}
	return nil
}

func (b *cannedBroker) end(p int32) int64 {
	l := b.logs[p]
	if len(l) == 0 {
		return 0
	}
	return l[len(l)-1].next
}

func (b *cannedBroker) metadata(req *kmsg.MetadataRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	at := b.ln.Addr().(*net.TCPAddr)
	node := kmsg.NewMetadataResponseBroker()
	node.NodeID, node.Host, node.Port = 0, at.IP.String(), int32(at.Port)
	resp.Brokers = append(resp.Brokers, node)
	for range req.Topics {
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic = new(topicName)
		for p := range int32(partitions) {
			part := kmsg.NewMetadataResponseTopicPartition()
			part.Partition, part.Leader, part.LeaderEpoch, part.Replicas, part.ISR = p, 0, 0, []int32{0}, []int32{0}
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// fetch hands out whole batches up to the request's limits, of the first
// partition that has any at least one.
func (b *cannedBroker) fetch(req *kmsg.FetchRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	left := int(req.MaxBytes)
	some := false
	for _, t := range req.Topics {
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			part := kmsg.NewFetchResponseTopicPartition()
			part.Partition, part.HighWatermark, part.LogStartOffset = p.Partition, b.end(p.Partition), 0
			part.LastStableOffset = part.HighWatermark
			log := b.logs[p.Partition]
			i := sort.Search(len(log), func(i int) bool { return log[i].next > p.FetchOffset })
			room := min(left, int(p.PartitionMaxBytes))
			for ; i < len(log) && (len(log[i].data) <= room || !some); i++ {
				part.RecordBatches = append(part.RecordBatches, log[i].data...)
				room -= len(log[i].data)
				left -= len(log[i].data)
				some = true
			}
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	if !some {
		time.Sleep(time.Duration(req.MaxWaitMillis) * time.Millisecond)
	}
	return resp
}
