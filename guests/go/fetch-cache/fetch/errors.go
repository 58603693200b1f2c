package fetch

import (
	"errors"

	http "wit_component/wasi_http_types"
)

// names are the names of the errors as they are in WIT, but in lower case.
var names = [...]string{
	http.ErrorCode_DnsTimeout:                     "dns-timeout",
	http.ErrorCode_DnsError:                       "dns-error",
	http.ErrorCode_DestinationNotFound:            "destination-not-found",
	http.ErrorCode_DestinationUnavailable:         "destination-unavailable",
	http.ErrorCode_DestinationIpProhibited:        "destination-ip-prohibited",
	http.ErrorCode_DestinationIpUnroutable:        "destination-ip-unroutable",
	http.ErrorCode_ConnectionRefused:              "connection-refused",
	http.ErrorCode_ConnectionTerminated:           "connection-terminated",
	http.ErrorCode_ConnectionTimeout:              "connection-timeout",
	http.ErrorCode_ConnectionReadTimeout:          "connection-read-timeout",
	http.ErrorCode_ConnectionWriteTimeout:         "connection-write-timeout",
	http.ErrorCode_ConnectionLimitReached:         "connection-limit-reached",
	http.ErrorCode_TlsProtocolError:               "tls-protocol-error",
	http.ErrorCode_TlsCertificateError:            "tls-certificate-error",
	http.ErrorCode_TlsAlertReceived:               "tls-alert-received",
	http.ErrorCode_HttpRequestDenied:              "http-request-denied",
	http.ErrorCode_HttpRequestLengthRequired:      "http-request-length-required",
	http.ErrorCode_HttpRequestBodySize:            "http-request-body-size",
	http.ErrorCode_HttpRequestMethodInvalid:       "http-request-method-invalid",
	http.ErrorCode_HttpRequestUriInvalid:          "http-request-uri-invalid",
	http.ErrorCode_HttpRequestUriTooLong:          "http-request-uri-too-long",
	http.ErrorCode_HttpRequestHeaderSectionSize:   "http-request-header-section-size",
	http.ErrorCode_HttpRequestHeaderSize:          "http-request-header-size",
	http.ErrorCode_HttpRequestTrailerSectionSize:  "http-request-trailer-section-size",
	http.ErrorCode_HttpRequestTrailerSize:         "http-request-trailer-size",
	http.ErrorCode_HttpResponseIncomplete:         "http-response-incomplete",
	http.ErrorCode_HttpResponseHeaderSectionSize:  "http-response-header-section-size",
	http.ErrorCode_HttpResponseHeaderSize:         "http-response-header-size",
	http.ErrorCode_HttpResponseBodySize:           "http-response-body-size",
	http.ErrorCode_HttpResponseTrailerSectionSize: "http-response-trailer-section-size",
	http.ErrorCode_HttpResponseTrailerSize:        "http-response-trailer-size",
	http.ErrorCode_HttpResponseTransferCoding:     "http-response-transfer-coding",
	http.ErrorCode_HttpResponseContentCoding:      "http-response-content-coding",
	http.ErrorCode_HttpResponseTimeout:            "http-response-timeout",
	http.ErrorCode_HttpUpgradeFailed:              "http-upgrade-failed",
	http.ErrorCode_HttpProtocolError:              "http-protocol-error",
	http.ErrorCode_LoopDetected:                   "loop-detected",
	http.ErrorCode_ConfigurationError:             "configuration-error",
	http.ErrorCode_InternalError:                  "internal-error",
}

func codeError(code http.ErrorCode) error {
	return errors.New(names[code.Tag()])
}
