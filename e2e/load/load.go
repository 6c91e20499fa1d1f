// Package load sends requests at a constant rate and counts what fails: the witness of the promise
// that a release costs no request.
package load

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Load is a load that runs.
type Load struct {
	url    string
	host   string // Host header; empty: the url's
	cancel context.CancelFunc
	wg     sync.WaitGroup
	flying sync.WaitGroup // requests under way

	counted
}

// Start sends rate requests a second to url until Stop. Half of them go over kept connections,
// half over new ones.
func Start(url string, rate int) *Load { return StartAt(url, "", rate) }

// StartAt is Start for one of the sites at url, by its host name.
func StartAt(url, host string, rate int) *Load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &Load{url: url, host: host, cancel: cancel, counted: counted{versions: map[string]int{}}}
	kept := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	fresh := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	l.wg.Add(1)
	go func() {
		defer l.wg.Done()
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		defer kept.CloseIdleConnections()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if l.isPaused() {
				continue
			}
			client := kept
			if i%2 == 1 {
				client = fresh
			}
			l.flying.Add(1)
			go func() {
				defer l.flying.Done()
				l.one(client)
			}()
		}
	}()
	return l
}

// one sends one request. It is let finish also when the load stops.
func (l *Load) one(client *http.Client) {
	request, err := http.NewRequest(http.MethodGet, l.url, nil)
	if err != nil {
		l.count("", err)
		return
	}
	request.Host = l.host
	answer, err := client.Do(request)
	version := ""
	if err == nil {
		var body []byte
		body, err = io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err == nil && answer.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %.200s", answer.Status, body)
		}
		version = answer.Header.Get("X-Version")
	}
	l.count(version, err)
}

// Stop ends the load when all requests under way have been answered.
func (l *Load) Stop() {
	l.cancel()
	l.wg.Wait()
	l.flying.Wait()
}

// URL is what is asked for.
func (l *Load) URL() string { return l.url }

// Pause stops sending, until Resume, and returns when what is under way has been answered.
func (l *Load) Pause() {
	l.setPaused(true)
	l.flying.Wait()
}

// Resume goes on.
func (l *Load) Resume() { l.setPaused(false) }
