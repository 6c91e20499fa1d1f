// Package sqlite puts a consistent copy of a SQLite database together from what is read of its files
// while others write to it.
//
// The one who reads holds a read transaction from before the first byte to after the last. While it
// is held, nobody changes a page of the database file that the transaction sees, and the write-ahead
// log is not begun anew once it holds anything that the transaction sees. So the log, read first,
// and the database file, read second, together are the database as some commit left it, not before
// the transaction began: each page is that of the log's last frame of it, else that of the file.
// Without a write-ahead log the file alone is the database, and writers wait for the reader's end.
//
// The stream that ReadSnapshot takes is
//
//	cloudship-sqlite 1 N       a line: N is the length of the log as it was read
//	N bytes                    the log, the end of which may be zeros or garbage
//	32 bytes                   where N is not 0: the log's header, read again afterwards
//	the rest                   the database file
package sqlite

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrMoved says that the log was begun anew while it was read. Nothing was written: read again.
var ErrMoved = errors.New("the write-ahead log was begun anew while it was read")

// Found is what is known of a database that was read.
type Found struct {
	Size   int64 // of the copy, in bytes
	Log    bool  // it has a write-ahead log: its readers and writers do not wait for each other
	Frames int   // of the log that are in the copy
}

const (
	magic     = "SQLite format 3\x00"
	headerLen = 100
	maxLog    = 1 << 40 // nobody has a longer one
	// lockByte is in the page that is never used, never written and in no log.
	lockByte = 1 << 30
)

// ReadSnapshot reads a stream and writes the database that it holds. The log is kept in a file
// meanwhile, since its last frame counts first. An error is ErrMoved before anything was written;
// after any other what was written is worth nothing.
func ReadSnapshot(to io.Writer, from io.Reader) (Found, error) {
	in := bufio.NewReaderSize(from, 128<<10)
	length, err := readHead(in)
	if err != nil {
		return Found{}, err
	}
	spool, err := os.CreateTemp("", "cloudship-log-")
	if err != nil {
		return Found{}, err
	}
	defer func() { _ = spool.Close() }()
	if err := os.Remove(spool.Name()); err != nil {
		return Found{}, err
	}
	log, err := readLog(in, spool, length)
	if err != nil {
		return Found{}, err
	}
	m := merger{log: log, in: in, to: to}
	err = m.run()
	return Found{Size: m.written, Log: m.writeAhead, Frames: log.frames}, err
}

// readHead reads the first line.
func readHead(in *bufio.Reader) (length int64, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, fmt.Errorf("read the snapshot: its first line: %w", unexpected(err))
	}
	if n, err := fmt.Sscanf(string(line), "cloudship-sqlite 1 %d\n", &length); n != 1 || err != nil || length < 0 || length > maxLog {
		return 0, fmt.Errorf("read the snapshot: its first line is %q", line)
	}
	return length, nil
}

// unexpected is an end of the stream where none may be.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// merger writes the database page by page.
type merger struct {
	log        *log
	in         *bufio.Reader // the database file
	to         io.Writer
	written    int64
	writeAhead bool
}

func (m *merger) run() error {
	header, err := m.in.Peek(headerLen)
	if errors.Is(err, io.EOF) && len(header) == 0 && m.log.pages == 0 {
		return nil // an empty file is an empty database
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the database: %w", err)
	}
	if len(header) > 0 && (len(header) < headerLen || !bytes.HasPrefix(header, []byte(magic))) {
		return errors.New("the file is no SQLite database")
	}
	size := m.log.pageSize
	if len(header) > 0 {
		m.writeAhead = header[18] == 2
		if size = pageSize(header); size == 0 {
			return errors.New("the database's header says no page size")
		}
	}
	if m.log.pages == 0 {
		return m.whole(size)
	}
	m.writeAhead = true
	if m.log.pageSize != size {
		return fmt.Errorf("the log has pages of %d bytes, the database of %d", m.log.pageSize, size)
	}
	return m.pages(size)
}

// pageSize is what the header of a database says, or 0.
func pageSize(header []byte) int {
	size := int(binary.BigEndian.Uint16(header[16:]))
	if size == 1 {
		size = 1 << 16
	}
	return validPageSize(size)
}

// validPageSize is a page size that can be, or 0.
func validPageSize(size int) int {
	if size < 512 || size > 1<<16 || size&(size-1) != 0 {
		return 0
	}
	return size
}

// whole copies a database file that nothing in a log stands against.
func (m *merger) whole(size int) error {
	n, err := io.Copy(m.to, m.in)
	m.written = n
	if err == nil && n%int64(size) != 0 {
		err = fmt.Errorf("the database has %d bytes, which are no whole pages of %d", n, size)
	}
	return err
}

// pages writes each page as the log has it, else as the file has it.
func (m *merger) pages(size int) error {
	page, ended := make([]byte, size), false
	for number := uint32(1); number <= m.log.pages; number++ {
		if !ended {
			n, err := io.ReadFull(m.in, page)
			switch {
			case err == io.EOF:
				ended = true
			case err != nil:
				return fmt.Errorf("read page %d of the database, %d bytes of it: %w", number, n, err)
			}
		}
		at, logged := m.log.last[number]
		switch {
		case logged:
			if _, err := m.log.spool.ReadAt(page, at); err != nil {
				return fmt.Errorf("read page %d of the log: %w", number, err)
			}
		case ended && number == uint32(lockByte/size)+1:
			clear(page)
		case ended:
			return fmt.Errorf("the database ends before page %d of %d", number, m.log.pages)
		}
		n, err := m.to.Write(page)
		m.written += int64(n)
		if err != nil {
			return err
		}
		if number == m.log.pages { // the greatest number there is would begin again
			break
		}
	}
	_, err := io.Copy(io.Discard, m.in)
	return err
}
