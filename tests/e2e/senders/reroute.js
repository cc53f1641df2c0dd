// Loaded ahead of a sender library (node --require): sends what is meant for Microsoft's hosts over plain HTTP to
// TOCSIN_PORT on this machine. The library itself stays as it was published.
'use strict';

const http = require('http');
const https = require('https');

https.request = (options, callback) => {
  const rerouted = { ...options, protocol: 'http:', host: '127.0.0.1', hostname: '127.0.0.1', port: process.env.TOCSIN_PORT };
  rerouted.headers = { ...options.headers, Host: options.hostname || options.host };
  return http.request(rerouted, callback);
};
