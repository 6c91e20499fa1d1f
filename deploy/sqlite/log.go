package sqlite

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
)

const (
	logHeaderLen   = 32
	frameHeaderLen = 24
	logMagic       = 0x377f0682 // the last bit says that checksums are of big-endian words
	logFormat      = 3007000
)

// log is a write-ahead log (https://sqlite.org/fileformat2.html#walformat), up to its last commit.
type log struct {
	spool    *os.File
	pageSize int
	pages    uint32           // of the database after the last commit; 0: no commit is in the log
	last     map[uint32]int64 // page to where its newest content is in spool
	frames   int
}

// readLog reads the log and its header again.
func readLog(in *bufio.Reader, spool *os.File, length int64) (*log, error) {
	l := &log{spool: spool, last: map[uint32]int64{}}
	if length == 0 {
		return l, nil
	}
	if _, err := io.CopyN(spool, in, length); err != nil {
		return nil, fmt.Errorf("read the snapshot: its log: %w", unexpected(err))
	}
	again := make([]byte, logHeaderLen)
	if _, err := io.ReadFull(in, again); err != nil {
		return nil, fmt.Errorf("read the snapshot: the log's header again: %w", unexpected(err))
	}
	header := make([]byte, logHeaderLen)
	if length < logHeaderLen {
		return l, nil // nobody has committed to it
	}
	if _, err := spool.ReadAt(header, 0); err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	if !bytes.Equal(header, again) {
		return nil, ErrMoved
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	return l, l.index(bufio.NewReaderSize(spool, 128<<10))
}

// index finds the pages of all transactions that were committed. The first frame that does not
// belong to the log's chain of sums ends it: what comes after was never committed, or is left over
// from before the log was begun anew.
func (l *log) index(from io.Reader) error {
	header := make([]byte, logHeaderLen)
	if _, err := io.ReadFull(from, header); err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	word := binary.BigEndian.Uint32
	sums := chain{order: binary.LittleEndian}
	if word(header)&1 == 1 {
		sums.order = binary.BigEndian
	}
	sums.add(header[:24])
	l.pageSize = validPageSize(int(word(header[8:])))
	if word(header)&^1 != logMagic || word(header[4:]) != logFormat || l.pageSize == 0 || word(header[24:]) != sums.a || word(header[28:]) != sums.b {
		return nil // a log without a sound header holds nothing
	}
	var open []pending
	frame := make([]byte, frameHeaderLen+l.pageSize)
	for at := int64(logHeaderLen); ; at += int64(len(frame)) {
		switch _, err := io.ReadFull(from, frame); err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return nil
		default:
			return fmt.Errorf("read the log: %w", err)
		}
		sums.add(frame[:8])
		sums.add(frame[frameHeaderLen:])
		number, pages := word(frame), word(frame[4:])
		if !bytes.Equal(frame[8:16], header[16:24]) || word(frame[16:]) != sums.a || word(frame[20:]) != sums.b || number == 0 {
			return nil
		}
		open = append(open, pending{number, at + frameHeaderLen})
		if pages == 0 {
			continue
		}
		for _, p := range open {
			l.last[p.page] = p.at
		}
		l.pages, l.frames = pages, l.frames+len(open)
		open = open[:0]
	}
}

// pending is a frame whose commit has not come yet.
type pending struct {
	page uint32
	at   int64
}

// chain is the log's running sum.
type chain struct {
	order binary.ByteOrder
	a, b  uint32
}

// add goes on with a multiple of eight bytes.
func (c *chain) add(data []byte) {
	for i := 0; i+8 <= len(data); i += 8 {
		c.a += c.order.Uint32(data[i:]) + c.b
		c.b += c.order.Uint32(data[i+4:]) + c.a
	}
}
