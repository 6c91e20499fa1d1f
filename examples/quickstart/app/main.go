// Command app says its version. It is small enough to read and real enough to be released.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	check := flag.Bool("check", false, "ask the running app for its health, for the container's healthcheck")
	flag.Parse()
	if *check {
		os.Exit(ask("http://127.0.0.1:8080/healthz"))
	}
	if err := serve(":8080"); err != nil {
		log.Fatal(err)
	}
}

func serve(addr string) error {
	host, _ := os.Hostname()
	version := os.Getenv("VERSION")
	mux := http.NewServeMux()
	var rotten atomic.Bool
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Version", version)
		if rotten.Load() {
			http.Error(w, "gone bad as asked", http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "%s from %s\n", version, host)
	})
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {
		if version == "broken" { // a release that never becomes healthy, to try a refusal with
			http.Error(w, "broken as asked", http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	if strings.HasPrefix(version, "rots") { // a release that goes bad when told to, to try the way back with
		mux.HandleFunc("/rot", func(w http.ResponseWriter, r *http.Request) {
			rotten.Store(true)
			fmt.Fprintln(w, "from now on / fails")
		})
	}
	server := &http.Server{Addr: addr, Handler: mux}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		<-stop.Done()
		// Open requests are finished before the container ends.
		ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
		defer cancel()
		done <- server.Shutdown(ctx)
	}()
	log.Printf("%s listens on %s", version, addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-done
}

func ask(url string) int {
	client := http.Client{Timeout: 2 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		fmt.Fprintln(os.Stderr, answer.Status)
		return 1
	}
	return 0
}
