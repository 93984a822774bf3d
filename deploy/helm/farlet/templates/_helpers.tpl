{{- define "farlet.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "farlet.labels" -}}
app.kubernetes.io/name: farlet
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "farlet.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- /* The webhook runs in this cluster. */ -}}
{{- define "farlet.webhookInCluster" -}}
{{- if and .Values.webhook.enabled (not .Values.webhook.url) -}}yes{{- end -}}
{{- end -}}
