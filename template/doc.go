// Package template turns a Compose file into a release: plain data that says all there is to know
// of an application's containers.
//
// Render reads the user's files (compose-go does the parsing), puts the inputs in, replaces every
// sensitive value by its keyed digest, pins images by digest, and answers with a Release, its id
// and the secret values apart. A Release still holds late references ({{ ruby | container_name }}):
// Release.Bind resolves them for one host, Service.Reveal puts the secrets in, at the last moment.
//
// The package does no I/O beyond reading the user's files; it builds, pulls and starts nothing.
package template
