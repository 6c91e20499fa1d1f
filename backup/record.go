package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Format is the newest format of records that this program knows, and the one that it writes.
const Format = 1

// A Record says what a backup is. It is written last: without it there is no backup. It is not
// sealed, so it may not hold secrets.
type Record struct {
	Format  int               `json:"format"`
	Name    string            `json:"name"` // 20260921_180000.sqlite3, one of a kind in its stack and Of
	Of      string            `json:"of"`   // label of the backup block
	Stack   string            `json:"stack"`
	Source  Source            `json:"source"`
	Release string            `json:"release,omitempty"`
	Created time.Time         `json:"created"`          // when it was begun, UTC
	Seconds float64           `json:"seconds"`          // how long it took
	Plain   Sum               `json:"plain"`            // of what was backed up
	Stored  Sum               `json:"stored"`           // of the sealed object
	SealFor []string          `json:"sealed_for"`       // age recipients
	Tools   map[string]string `json:"tools,omitempty"`  // versions: "sqlite3": "3.40.1"
	Notes   map[string]string `json:"notes,omitempty"`  // what else is worth knowing: "rows of users": "512"
	Writer  string            `json:"writer,omitempty"` // the program that wrote it, with its version
	sum     string            // of the record itself
}

// Source says where the content came from.
type Source struct {
	Kind    string `json:"kind"`              // files, sqlite, postgresql, mysql, command
	Service string `json:"service,omitempty"` // of the template
	Volume  string `json:"volume,omitempty"`
	Path    string `json:"path,omitempty"`   // in the service or volume
	Server  string `json:"server,omitempty"` // address of the server: group.app.server[0]
}

// Sum is the size and the SHA-256 of a stream.
type Sum struct {
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

func (s Sum) valid() bool {
	raw, err := hex.DecodeString(s.SHA256)
	return err == nil && len(raw) == sha256.Size && s.Size >= 0 && s.SHA256 == strings.ToLower(s.SHA256)
}

// Sum is the SHA-256 by which the record names itself, and which a proof names; "" if it was never
// written or read.
func (r Record) Sum() string { return r.sum }

// String is OF/NAME.
func (r Record) String() string { return r.Of + "/" + r.Name }

// newest is the order of backups: the newest first.
func newest(a, b Record) int {
	if c := b.Created.Compare(a.Created); c != 0 {
		return c
	}
	return strings.Compare(b.Name, a.Name)
}

// sumKey is the last member of a document: the SHA-256 of all bytes before its line.
const sumKey = `  "record_sha256": "`

// sumTail is what stands after the sum.
const sumTail = "\"\n}\n"

// sealLines writes a document as JSON whose last member is the sum of the lines before it.
func sealLines(document any) (data []byte, sum string, err error) {
	data, err = json.MarshalIndent(document, "", "  ")
	if err != nil {
		return nil, "", err
	}
	body, ok := bytes.CutSuffix(data, []byte("\n}"))
	if !ok {
		return nil, "", errors.New("an empty document")
	}
	body = append(body, ",\n"...)
	hash := sha256.Sum256(body)
	sum = hex.EncodeToString(hash[:])
	return append(body, sumKey+sum+sumTail...), sum, nil
}

// openLines checks the sum of a document and returns it as JSON without its sum.
func openLines(data []byte) (document []byte, sum string, err error) {
	const tail = len(sumKey) + 2*sha256.Size + len(sumTail)
	if len(data) < tail {
		return nil, "", errors.New("it ends too early")
	}
	body, end := data[:len(data)-tail], string(data[len(data)-tail:])
	sum = end[len(sumKey) : len(sumKey)+2*sha256.Size]
	if end != sumKey+sum+sumTail {
		return nil, "", errors.New("it does not end with its sum")
	}
	if hash := sha256.Sum256(body); sum != hex.EncodeToString(hash[:]) {
		return nil, "", errors.New("it does not agree with its sum")
	}
	body, ok := bytes.CutSuffix(body, []byte(",\n"))
	if !ok {
		return nil, "", errors.New("it is no record")
	}
	return append(bytes.Clone(body), "\n}"...), sum, nil
}

// encode writes the record, and gives it its sum.
func (r *Record) encode() (data []byte, err error) {
	data, r.sum, err = sealLines(r)
	return data, err
}

// DecodeRecord reads a record. Bytes that are not as they were written are a CorruptError, those of a
// later format a NewerError.
func DecodeRecord(data []byte) (Record, error) {
	document, sum, err := openLines(data)
	if err != nil {
		return Record{}, &CorruptError{Reason: "its record: " + err.Error()}
	}
	var format struct{ Format int }
	if err := json.Unmarshal(document, &format); err != nil {
		return Record{}, &CorruptError{Reason: "its record: " + err.Error()}
	}
	if format.Format > Format {
		return Record{}, &NewerError{Format: format.Format}
	}
	var r Record
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return Record{}, &CorruptError{Reason: "its record: " + err.Error()}
	}
	if err := r.check(); err != nil {
		return Record{}, &CorruptError{Of: r.Of, Name: r.Name, Reason: "its record: " + err.Error()}
	}
	r.sum = sum
	return r, nil
}

// check refuses a record that no Write makes.
func (r Record) check() error {
	switch {
	case r.Format != Format:
		return fmt.Errorf("format %d is none", r.Format)
	case !ValidName(r.Name):
		return fmt.Errorf("%q is no name", r.Name)
	case !validLabel(r.Of) || !validLabel(r.Stack):
		return errors.New("it does not say of which stack and block it is")
	case r.Created.IsZero():
		return errors.New("it does not say when it was made")
	case !r.Plain.valid() || !r.Stored.valid():
		return errors.New("its sums are none")
	}
	return nil
}
