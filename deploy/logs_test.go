package deploy

import (
	"strings"
	"testing"
	"time"
)

func TestLinesOfALogArePartedWhereverTheStreamIsCut(t *testing.T) {
	stream := "2026-11-28T02:00:00.000000001Z first line\n2026-11-28T02:00:01Z \n2026-11-28T02:00:02.5Z third\r\n2026-11-28T02:00:03Z no end"
	for size := 1; size <= len(stream); size++ {
		var got []string
		s := &stamped{to: func(l LogLine) { got = append(got, l.At.Format("05.0")+"|"+l.Text) }}
		for rest := stream; rest != ""; rest = rest[min(size, len(rest)):] {
			if _, err := s.Write([]byte(rest[:min(size, len(rest))])); err != nil {
				t.Fatal(err)
			}
		}
		s.end()
		want := "00.0|first line,01.0|,02.5|third,03.0|no end"
		if strings.Join(got, ",") != want {
			t.Fatalf("cut every %d bytes: %q, want %q", size, strings.Join(got, ","), want)
		}
	}
}

func TestLinesThatWereHadBeforeAreLeftOut(t *testing.T) {
	var got []string
	s := &stamped{since: time.Date(2026, 11, 28, 2, 0, 1, 0, time.UTC), to: func(l LogLine) { got = append(got, l.Text) }}
	_, _ = s.Write([]byte("2026-11-28T02:00:00Z old\n2026-11-28T02:00:01Z same\n2026-11-28T02:00:01.000000001Z new\n"))
	if strings.Join(got, ",") != "new" {
		t.Errorf("got %q", got)
	}
}

func TestALineWithoutEndIsGivenOutInPieces(t *testing.T) {
	var bytes, pieces int
	s := &stamped{to: func(l LogLine) { bytes, pieces = bytes+len(l.Text), pieces+1 }}
	long := strings.Repeat("x", 3*maxLogLine)
	_, _ = s.Write([]byte("2026-11-28T02:00:00Z "))
	for rest := long; rest != ""; rest = rest[min(1000, len(rest)):] {
		_, _ = s.Write([]byte(rest[:min(1000, len(rest))]))
	}
	s.end()
	if bytes != len(long) || pieces < 3 {
		t.Errorf("%d bytes in %d pieces, want %d in at least 3", bytes, pieces, len(long))
	}
}
