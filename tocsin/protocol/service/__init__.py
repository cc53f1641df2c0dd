"""What a push service demands, keeps and holds back: the rules of WNS, the offline queue, power."""
