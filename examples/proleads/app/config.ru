require_relative "app"
run Leads
