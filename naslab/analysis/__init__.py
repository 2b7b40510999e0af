"""What a comparison showed: statistics, tables, figures, the report. Frame in, frame out, figures on top.

Here lives what is computed from frames of results. Nothing here knows tasks, strategies or traces.
"""
