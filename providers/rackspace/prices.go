package rackspace

import "github.com/cloudship/cloudship/resource"

// Rackspace has no call that tells prices, and publishes them on a page that asks for a sale first.
// These are from its public list of the date below, hourly, with the infrastructure service level;
// what is not here has no price that this program knows, which is not the same as none.
const (
	currency   = "USD"
	pricesAsOf = "2014-08-01"
	monthHours = 730
)

var hourly = map[string]float64{
	"general1-1": 0.037,
	"general1-2": 0.074,
	"general1-4": 0.148,
	"general1-8": 0.296,
}

// hourlyBalancer is what a load balancer costs; traffic and many connections cost more.
const hourlyBalancer = 0.015

// priceOf is the monthly price of a size, if it is known.
func priceOf(size string) resource.Price {
	p, ok := hourly[size]
	if !ok {
		return resource.Price{}
	}
	return monthly(p)
}

func monthly(hour float64) resource.Price {
	return resource.Price{Monthly: hour * monthHours, Currency: currency, Known: true, AsOf: pricesAsOf}
}
