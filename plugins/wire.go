package plugins

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cloudship/cloudship/plugins/pluginpb"
	"github.com/cloudship/cloudship/resource"
)

// decode reads a document. A field that this program does not know is an error.
func decode(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("document of the other side: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("document of the other side: more than one value")
	}
	return nil
}

// errorToWire writes any error. One that is no resource.Error, or that has one somewhere in its
// chain, keeps its kind and its whole text.
func errorToWire(err error) *pluginpb.Error {
	if err == nil {
		return nil
	}
	hint := resource.HintOf(err)
	var e *resource.Error
	if !errors.As(err, &e) {
		return &pluginpb.Error{Kind: string(resource.Failed), Message: text(err.Error()), Hint: text(hint)}
	}
	w := &pluginpb.Error{
		Kind: string(e.Kind), Op: text(e.Op), Address: e.Address.String(), Message: text(e.Message),
		RequestId: text(e.RequestID), Field: text(e.Field), Hint: text(hint),
	}
	if w.Message == "" && e.Cause != nil {
		w.Message = text(e.Cause.Error())
	}
	if !e.Until.IsZero() {
		w.Until = timestamppb.New(e.Until)
	}
	if around, ok := strings.CutSuffix(err.Error(), e.Error()); ok && around != "" {
		w.Op = text(strings.TrimSuffix(around, ": "))
		if e.Op != "" {
			w.Op += ": " + text(e.Op)
		}
	}
	return w
}

// text is what may be sent as one: a cloud's words can hold anything, and the wire takes UTF-8.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// errorFromWire reads what errorToWire wrote; nil for nil.
func errorFromWire(w *pluginpb.Error) error {
	if w == nil {
		return nil
	}
	e := &resource.Error{
		Kind: resource.ErrorKind(w.GetKind()), Op: w.GetOp(), Message: w.GetMessage(),
		RequestID: w.GetRequestId(), Field: w.GetField(), Hint: w.GetHint(),
	}
	if w.GetUntil() != nil {
		e.Until = w.GetUntil().AsTime()
	}
	if address, err := resource.ParseAddress(w.GetAddress()); err == nil {
		e.Address = address
	}
	return e
}

// resultsToWire writes the results of a call.
func resultsToWire(results []resource.Result) (*pluginpb.Results, error) {
	w := &pluginpb.Results{}
	for _, r := range results {
		p := &pluginpb.Result{Address: r.Address.String(), Error: errorToWire(r.Err)}
		if r.Found != nil {
			found, err := json.Marshal(r.Found)
			if err != nil {
				return nil, fmt.Errorf("result for %s: %w", r.Address, err)
			}
			p.Found = found
		}
		w.Results = append(w.Results, p)
	}
	return w, nil
}

// resultsFromWire reads the results of a call. There must be one for every item, in their order:
// an answer that lacks one is no answer.
func resultsFromWire(c resource.Call, w *pluginpb.Results) ([]resource.Result, error) {
	if len(w.GetResults()) != len(c.Items) {
		return nil, fmt.Errorf("%d results for %d items", len(w.GetResults()), len(c.Items))
	}
	results := make([]resource.Result, len(c.Items))
	for i, p := range w.GetResults() {
		address := c.Items[i].Mark.Address
		if p.GetAddress() != address.String() {
			return nil, fmt.Errorf("result %d is for %q, want %s", i, p.GetAddress(), address)
		}
		results[i] = resource.Result{Address: address, Err: errorFromWire(p.GetError())}
		if len(p.GetFound()) > 0 {
			results[i].Found = &resource.Found{}
			if err := decode(p.GetFound(), results[i].Found); err != nil {
				return nil, fmt.Errorf("result for %s: %w", address, err)
			}
		}
	}
	return results, nil
}
